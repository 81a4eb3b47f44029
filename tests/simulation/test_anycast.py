"""One address of several hosts: flows led by a hash of the source port, to hosts that die while their route stays."""

import pytest

from tests.support.worlds import HOME, REQUEST, content, files
from trickles.client import Client
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Anycast,
    ClientHost,
    Fetch,
    LinkSpec,
    Replica,
    ReplicaSpec,
    Report,
    Scenario,
    Simulation,
    assert_replayable,
    for_seeds,
)

BODY = content(300_000)  # 0.3 s
VIRTUAL = ("192.0.2.200", 443)
TRIES = range(3)
FIFTY_MEGABIT = LinkSpec(rate=50_000_000, delay=15_000, queue_packets=120)


def anycast(simulation: Simulation, replicas: int = 3) -> tuple[ClientHost, Anycast]:
    """A client of one address, and the hosts behind it."""
    for _ in range(replicas):
        simulation.add_replica(files(BODY))
    hosts = simulation.add_anycast(VIRTUAL, spray="hash")
    host = simulation.add_client(
        Client([VIRTUAL], entropy=simulation.entropy("client"), config=HOME),
        Fetch(REQUEST, BODY),
        outgoing=[simulation.add_link("up", TEN_MEGABIT)],
        incoming=[simulation.add_link("down", TEN_MEGABIT)],
    )
    host.move((host.address[0], simulation.random("ports").randrange(1_024, 65_536)))
    return host, hosts


def serving(host: ClientHost, hosts: Anycast) -> Replica:
    """The host that the client's flow leads to."""
    found = hosts.pick(host.address)
    assert isinstance(found, Replica)
    return found


def dying(*, unreachable: bool, at: int) -> Scenario:
    """A download during which the serving host dies for good."""

    def scenario(simulation: Simulation) -> Report:
        host, hosts = anycast(simulation)
        simulation.clock.after(at, lambda: serving(host, hosts).kill(unreachable=unreachable))
        return simulation.run_transfer(host, max_time=60 * SECOND)

    return scenario


def test_a_host_that_dies_in_silence_is_left_although_its_route_stays() -> None:
    reports = for_seeds(dying(unreachable=False, at=150 * MILLISECOND), TRIES)
    assert max(report.longest_gap for report in reports) < 250 * MILLISECOND


def test_a_dead_host_is_left_soon_although_the_next_flows_lead_there_too() -> None:
    simulation = Simulation(0)
    host, hosts = anycast(simulation)
    ports, at = range(1_024, 60_000), host.address[0]
    host.move((at, next(p for p in ports if len({hosts.pick((at, p + flow)) for flow in range(6)}) == 1)))
    simulation.clock.after(150 * MILLISECOND, serving(host, hosts).kill)
    report = simulation.run_transfer(host, max_time=60 * SECOND)
    assert report.completed
    assert report.longest_gap < 500 * MILLISECOND


def test_a_host_that_refuses_is_left_at_once() -> None:
    reports = for_seeds(dying(unreachable=True, at=150 * MILLISECOND), TRIES)
    assert max(report.longest_gap for report in reports) < 150 * MILLISECOND


@pytest.mark.slow
@pytest.mark.parametrize("unreachable", [False, True])
def test_a_handshake_leaves_a_dead_host(unreachable: bool) -> None:
    reports = for_seeds(dying(unreachable=unreachable, at=0), TRIES)
    assert max(report.duration for report in reports) < 6 * SECOND


def test_a_single_host_that_returns_goes_on_although_flows_changed() -> None:
    def scenario(simulation: Simulation) -> Report:
        host, hosts = anycast(simulation, replicas=1)
        only = serving(host, hosts)
        simulation.clock.after(150 * MILLISECOND, lambda: only.kill(unreachable=True))
        simulation.clock.after(3 * SECOND, only.restart)
        return simulation.run_transfer(host, max_time=60 * SECOND)

    reports = for_seeds(scenario, TRIES)
    assert max(report.duration for report in reports) < 6 * SECOND
    assert max(report.client.sent for report in reports) < 400  # pauses grow while it is dead


def test_the_runs_are_replayable() -> None:
    assert_replayable(dying(unreachable=False, at=150 * MILLISECOND), 3)


def sprayed(delays: list[int], seed: int) -> Report:
    """A download of 6 MB from hosts of one address at these distances, each packet to another one."""
    body, simulation = content(6_000_000), Simulation(seed)
    for number, delay in enumerate(delays):
        way = simulation.add_link(f"host {number}", LinkSpec(delay=delay))
        simulation.add_replica(files(body), ReplicaSpec(outgoing=(way,)))
    simulation.add_anycast(VIRTUAL, spray="random")
    host = simulation.add_client(
        Client([VIRTUAL], entropy=simulation.entropy("client"), config=HOME),
        Fetch(REQUEST, body),
        outgoing=[simulation.add_link("up", FIFTY_MEGABIT)],
        incoming=[simulation.add_link("down", FIFTY_MEGABIT)],
    )
    report = simulation.run_transfer(host, max_time=60 * SECOND)
    assert report.completed
    return report


@pytest.mark.slow
def test_hosts_at_unequal_distances_among_which_packets_are_sprayed_cost_little() -> None:
    alone = sprayed([0], 0).goodput
    rates = [sprayed([0, 1_000, 2_000], seed).goodput for seed in range(3)]
    assert sum(rates) > 0.8 * len(rates) * alone, (rates, alone)
