"""Replicas that are not alike: near and far, idle and overloaded."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from _pytest.mark import ParameterSet

from tests.support.worlds import HOME, REQUEST, SPRAY, client, content, download, files
from trickles.client import ClientConfig, Policy
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Fetch,
    LinkSpec,
    ReplicaSpec,
    Report,
    Scenario,
    Simulation,
    for_seeds,
    run_transfer,
)

BODY = content(1_000_000)
FASTEST = replace(HOME, policy=Policy.LOWEST_RTT)
STRIPE = replace(HOME, policy=Policy.STRIPE)

POLICIES = [HOME, SPRAY, STRIPE, FASTEST]


def at_distances(config: ClientConfig, delays: Sequence[int], loss: float = 0.0) -> Scenario:
    """A download from replicas that lie so many microseconds (one way) behind the client's own link."""

    def scattered(simulation: Simulation) -> Report:
        specs = []
        for index, delay in enumerate(delays):
            there, back = (simulation.add_link(f"{way} {index}", LinkSpec(delay=delay)) for way in ("to", "from"))
            specs.append(ReplicaSpec(incoming=(there,), outgoing=(back,)))
        near = replace(TEN_MEGABIT, delay=MILLISECOND, loss=loss)
        return download(simulation, BODY, config=config, replicas=specs, up=near, down=near)

    return scattered


def spread(config: ClientConfig, far: int) -> ParameterSet:
    """One case."""
    return pytest.param(config, far, id=f"{config.policy}, {far} ms")


@pytest.mark.slow
@pytest.mark.parametrize(("config", "far"), [spread(config, far) for config in POLICIES for far in (10, 40, 100)])
def test_near_and_far_replicas_together(config: ClientConfig, far: int) -> None:
    """Answers overtake each other by most of a round trip; that is no loss."""
    (report,) = for_seeds(at_distances(config, [5 * MILLISECOND, far * MILLISECOND]), [1])
    assert report.duration < 3 * SECOND + 60 * far * MILLISECOND


@pytest.mark.slow
@pytest.mark.parametrize("config", [HOME, SPRAY, FASTEST], ids=["home", "spray", "fastest"])
def test_near_and_far_replicas_together_with_loss(config: ClientConfig) -> None:
    for report in for_seeds(at_distances(config, [5 * MILLISECOND, 40 * MILLISECOND], 0.005), range(4)):
        assert report.duration < 10 * SECOND


@pytest.mark.slow
def test_the_fastest_replica_gets_the_work() -> None:
    scenario = at_distances(FASTEST, [60 * MILLISECOND, 10 * MILLISECOND, 30 * MILLISECOND])
    (report,) = for_seeds(scenario, [1])
    sent = [stats.sent for stats in report.replicas.values()]
    assert sent[1] > 0.8 * sum(sent)


@pytest.mark.parametrize("service_time", [500, 2_000, 10_000])
def test_replicas_that_are_slow_to_work(service_time: int) -> None:
    """The server's CPU is the bottleneck: requests wait in its receive buffer, or overflow it."""

    def busy(simulation: Simulation) -> Report:
        specs = [ReplicaSpec(service_time=service_time, backlog=20)] * 2
        return download(simulation, BODY[:300_000], config=SPRAY, replicas=specs)

    (report,) = for_seeds(busy, [1])
    assert report.duration < SECOND + 130 * service_time  # about as many requests


@pytest.mark.slow
def test_a_fleet_overrun_by_clients_serves_them_all() -> None:
    simulation = Simulation(1)
    spec = ReplicaSpec(service_time=3 * MILLISECOND, backlog=30)
    for _ in range(2):
        simulation.add_replica(files(BODY[:5_000]), spec)
    addresses = [replica.address for replica in simulation.replicas]
    for index in range(100):
        engine = client(SPRAY)(simulation.entropy(f"client {index}"), addresses)
        links = [simulation.add_link(f"{way} {index}", TEN_MEGABIT) for way in ("up", "down")]
        simulation.add_client(engine, Fetch(REQUEST, BODY[:5_000]), outgoing=links[:1], incoming=links[1:])
    assert simulation.run(max_time=60 * SECOND)
    assert {each.failure for each in simulation.clients} == {None}
    assert sum(replica.stats.overflowed for replica in simulation.replicas) > 0
    assert max(each.finished_at or 0 for each in simulation.clients) < 20 * SECOND


@pytest.mark.slow
def test_a_replica_far_slower_than_the_other_is_no_millstone() -> None:
    def uneven(simulation: Simulation) -> Report:
        specs = [ReplicaSpec(), ReplicaSpec(service_time=20 * MILLISECOND, backlog=50)]
        return run_transfer(simulation, files(BODY), client(HOME), Fetch(REQUEST, BODY), replicas=specs)

    (report,) = for_seeds(uneven, [1])
    assert report.duration < 2 * SECOND
