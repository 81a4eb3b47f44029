"""Constants of the model, with where each comes from. Times are microseconds."""

from dataclasses import dataclass

from trickles.limits import DEFAULT_LIMITS, MILLISECOND

MOST_HELLOS = DEFAULT_LIMITS.max_hellos_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """CPU of a replica for one datagram, by `python -m benchmarks request_cost`, medians of suite `sealed`.

    November 2026, AMD EPYC, Python 3.11.7. `work` is the application's share of each small request; it is no measured
    figure: scenes choose it so that the fleet has the load that they name.
    """

    hello: int = 290
    first: int = 120  # on a connection, proves the address
    kept: int = 60  # small, at the replica that answered the one before
    foreign: int = 250  # small, at a replica that knows nothing of the connection
    burst: int = 131  # earns 46 packets
    cookie: int = 24  # a hello turned away
    refused: int = 24  # a request of an epoch that the replica lacks
    work: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Round trips of the clients: log-uniform between two bounds, and the share by which each trip varies."""

    least: int = 5 * MILLISECOND
    most: int = 100 * MILLISECOND
    jitter: float = 0.06
