"""Figures of a gateway in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from trickles.drivers.addresses import Address, shown
from trickles.gateway.account import Account
from trickles.gateway.shared import Tally

STALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MOST_LABELS = 512  # replicas, and reasons; what comes beyond is counted as `other`
OTHER = "other"
_PREFIX = "trickles_gateway_"
Labelled = Mapping[str, int | float]


class Metrics:
    """Gathers what becomes known when connections are over, and renders it with what the gateway counts itself."""

    def __init__(self) -> None:
        self._packets: Counter[str] = Counter()
        self._latencies: dict[str, float] = {}
        self._stalls = [0] * (len(STALL_SECONDS) + 1)
        self._stalled_us = 0

    def note(self, account: Account) -> None:
        """A connection is over."""
        for replica, packets in account.replicas.items():
            self._packets[bounded(shown(replica), self._packets)] += packets
        for replica, latency in account.latencies_us.items():
            self._latencies[bounded(shown(replica), self._latencies)] = latency / 1e6
        self._stalls[bisect_left(STALL_SECONDS, account.longest_stall_us / 1e6)] += 1
        self._stalled_us += account.longest_stall_us

    def render(self, tally: Tally, connections: int, ongoing: Iterable[Mapping[Address, int]]) -> str:
        """All of it; `ongoing` are packets by replica of the `connections` that are open."""
        packets = Counter(self._packets)
        for each in ongoing:
            for replica, count in each.items():
                packets[bounded(shown(replica), packets)] += count
        return "".join(
            [
                *_family("connections", "gauge", "Connections open now.", {"": connections}),
                *_family("accepted_total", "counter", "Connections accepted.", {"": tally.accepted}),
                *_family("refused_total", "counter", "Connections refused, over a bound.", {"": tally.refused}),
                *_family("completed_total", "counter", "Connections ended by the server.", {"": tally.completed}),
                *_family("reset_total", "counter", "Connections reset by the program.", {"": tally.reset}),
                *_family("timed_out_total", "counter", "Requests not complete in time.", {"": tally.timed_out}),
                *_family("failed_total", "counter", "Transfers that could not go on.", _reasons(tally), "reason"),
                *_family("bytes_total", "counter", "Bytes from and to programs.", _bytes(tally), "direction"),
                *_family("failovers_total", "counter", "Requests that another replica answered.", _failovers(tally)),
                *self._stall_family(),
                *_family("replica_packets_total", "counter", "Packets from each replica.", packets, "replica"),
                *_family(
                    "replica_srtt_seconds", "gauge", "Smoothed round trip, as last seen.", self._latencies, "replica"
                ),
            ]
        )

    def _stall_family(self) -> Iterator[str]:
        name = f"{_PREFIX}stall_seconds"
        yield f"# HELP {name} Longest stall of each connection, once it is over.\n# TYPE {name} histogram\n"
        for bound, count in zip((*map(str, STALL_SECONDS), "+Inf"), accumulate(self._stalls), strict=True):
            yield f'{name}_bucket{{le="{bound}"}} {count}\n'
        yield f"{name}_sum {self._stalled_us / 1e6}\n{name}_count {sum(self._stalls)}\n"


def bounded(label: str, known: Mapping[str, object]) -> str:
    """The label itself, or `other` when there would be too many."""
    return label if label in known or len(known) < MOST_LABELS else OTHER


def _family(name: str, kind: str, about: str, values: Labelled, label: str = "") -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {about}\n# TYPE {_PREFIX}{name} {kind}\n"
    for of, value in values.items():
        yield f"{_PREFIX}{name}{_labelled(label, of)} {value}\n"


def _labelled(label: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{{label}="{escaped}"}}' if label else ""


def _reasons(tally: Tally) -> dict[str, int]:
    """By the part of the reason before its details: labels must stay few."""
    found: Counter[str] = Counter()
    for reason, count in tally.reasons.items():
        found[bounded(reason.partition(":")[0], found)] += count
    return dict(found)


def _bytes(tally: Tally) -> dict[str, int]:
    return {"in": tally.bytes_in, "out": tally.bytes_out}


def _failovers(tally: Tally) -> dict[str, int]:
    return {"": tally.failovers}
