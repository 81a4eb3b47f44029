"""Downloads over every kind of path: whole, and not unreasonably slower than TCP would be.

The bounds are generous: our datagrams carry 1,152 bytes where TCP's carry 1,448, and a lost request costs us what two
or more packets would have brought, where a lost acknowledgement costs TCP nothing.
"""

from dataclasses import dataclass, replace

import pytest

from tests.simulation.yardstick import slowness
from tests.support.worlds import HOME, SPRAY, content, download
from trickles.client import ClientConfig
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Blackhole,
    BurstLoss,
    ClientHost,
    Fate,
    Gilbert,
    LinkSpec,
    Report,
    Scenario,
    Simulation,
    for_seeds,
)


@dataclass(frozen=True, slots=True)
class Path:
    """A path for both directions, how much goes over it, and how many times slower than TCP that may be."""

    wire: LinkSpec
    size_bytes: int
    slowest: float

    @property
    def chancy(self) -> bool:
        """Whether seeds make a difference."""
        wire = self.wire
        return any(chance != 0.0 for chance in (wire.loss, wire.reorder, wire.duplicate, wire.corrupt, wire.jitter))


T = TEN_MEGABIT
PATHS = {
    "clean": Path(T, 1_000_000, 1.4),
    "satellite, 750 ms": Path(replace(T, delay=375 * MILLISECOND), 1_000_000, 1.5),
    "satellite, long queue": Path(replace(T, delay=375 * MILLISECOND, queue_packets=1_000), 1_000_000, 1.6),
    "2 % lost in bursts": Path(replace(T, loss=BurstLoss(0.02, longest=3)), 300_000, 3.5),
    "2 % lost": Path(replace(T, loss=0.02), 300_000, 3.5),
    "bad moments": Path(replace(T, loss=Gilbert(enter=0.002, leave=0.2, loss_bad=0.8)), 300_000, 3.5),
    "10 % lost": Path(replace(T, loss=0.1), 100_000, 3.0),
    "2 % damaged": Path(replace(T, corrupt=0.02), 300_000, 3.5),
    "5 % twice": Path(replace(T, duplicate=0.05), 300_000, 1.8),
    "2 % out of order": Path(replace(T, reorder=0.02), 300_000, 3.5),
    "jitter": Path(replace(T, jitter=10 * MILLISECOND), 300_000, 1.8),
    "gone 2 s in 7": Path(replace(T, blackholes=(Blackhole(2 * SECOND, SECOND, 7 * SECOND),)), 1_500_000, 1.5),
    "short queue": Path(replace(T, queue_packets=5), 1_000_000, 1.8),
    "bufferbloat": Path(replace(T, rate=1_000_000, queue_packets=500), 500_000, 1.4),
    "modem": Path(replace(T, rate=56_000, delay=100 * MILLISECOND), 30_000, 1.6),
    "gigabit": Path(replace(T, rate=1_000_000_000, delay=200, queue_packets=1_000), 3_000_000, 2.0),
}

cases = pytest.mark.parametrize(
    ("name", "config"),
    [pytest.param(name, config, id=f"{name}, {config.policy}") for name in PATHS for config in (HOME, SPRAY)],
)


def scenario(name: str, config: ClientConfig) -> Scenario:
    """A download over that path."""
    path = PATHS[name]

    def over_path(simulation: Simulation) -> Report:
        return download(simulation, content(path.size_bytes), config=config, up=path.wire, down=path.wire)

    over_path.__name__ = f"scenario({name!r}, {config.policy})"
    return over_path


def check(name: str, config: ClientConfig, seeds: range) -> None:
    """Whole, and not too slow."""
    path = PATHS[name]
    reports = for_seeds(scenario(name, config), seeds if path.chancy else seeds[:1])
    assert {report.bytes_received for report in reports} == {path.size_bytes}
    assert slowness(reports, path.wire, path.wire) < path.slowest


@pytest.mark.slow
@cases
def test_a_download_is_whole_and_not_slow(name: str, config: ClientConfig) -> None:
    check(name, config, range(4))


@pytest.mark.slow
@cases
def test_downloads_by_many_seeds_are_whole_and_not_slow(name: str, config: ClientConfig) -> None:
    check(name, config, range(100, 116))


LOCAL = LinkSpec(rate=1_000_000_000, delay=100, queue_packets=1_000)


@pytest.mark.slow
@pytest.mark.parametrize(("mtu", "largest"), [(1_228, 1_200), (1_499, 1_200), (1_500, 1_472), (9_000, 8_972)])
def test_datagrams_grow_to_what_the_path_carries(mtu: int, largest: int) -> None:
    def local(simulation: Simulation) -> Report:
        wire = replace(LOCAL, mtu=mtu)
        return download(simulation, content(3_000_000), config=ClientConfig(), up=wire, down=wire)

    for report in for_seeds(local, range(2)):
        assert isinstance(report.engine, dict)
        assert report.engine["datagram_bytes"] == largest


@pytest.mark.slow
@pytest.mark.parametrize("mtu", [1_228, 1_280, 1_400, 1_499])
def test_a_path_that_shrinks_goes_on_with_small_datagrams(mtu: int) -> None:
    """Routes change: what passed does not pass any more, and nobody says so."""

    def shrinking(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            def shrink() -> None:
                for link in simulation.world.links:
                    link.spec = replace(link.spec, mtu=mtu)

            simulation.clock.after(30 * MILLISECOND, shrink)

        wire = replace(LOCAL, mtu=1_500)
        return download(simulation, content(5_000_000), config=ClientConfig(), up=wire, down=wire, arrange=arrange)

    for report in for_seeds(shrinking, range(2)):
        assert report.links["down"].dropped[Fate.MTU] > 0
        assert report.duration < 10 * SECOND
