"""One download from several replicas at once: what their links carry adds up, alike or not."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.worlds import HOME, content, download
from trickles.client import Policy
from trickles.testing import MILLISECOND, SECOND, LinkSpec, ReplicaSpec, Report, Simulation, run_scenario

STRIPE = replace(HOME, policy=Policy.STRIPE)
BODY = content(8_000_000)
MEGABIT = 1_000_000


def from_links(rates: Sequence[int], policy: Policy, body: bytes = BODY, loss: float = 0.0) -> Report:
    """A download by a client with room for all, from replicas behind links of so many Mbit/s each."""

    def scenario(simulation: Simulation) -> Report:
        specs = []
        for index, rate in enumerate(rates):
            there = LinkSpec(delay=15 * MILLISECOND)
            back = replace(there, rate=rate * MEGABIT, queue_packets=50, loss=loss)
            links = [simulation.add_link(f"{way} {index}", spec) for way, spec in (("to", there), ("from", back))]
            specs.append(ReplicaSpec(incoming=(links[0],), outgoing=(links[1],)))
        near = LinkSpec(rate=1_000 * MEGABIT, delay=MILLISECOND)
        return download(simulation, body, config=replace(HOME, policy=policy), replicas=specs, up=near, down=near)

    return run_scenario(scenario, 1)


def share(rates: Sequence[int], policy: Policy) -> float:
    """Which part of what the links carry together a download got."""
    return len(BODY) * 8 * SECOND / from_links(rates, policy).duration / (sum(rates) * MEGABIT)


@pytest.mark.slow
def test_two_replicas_give_nearly_twice_what_one_gives() -> None:
    alone, both = from_links([10, 10], Policy.HOME), from_links([10, 10], Policy.STRIPE)
    assert alone.duration > 1.8 * both.duration
    sent = [stats.sent for stats in both.replicas.values()]
    assert max(sent) < 1.1 * min(sent)


@pytest.mark.slow
@pytest.mark.parametrize(("rates", "least"), [([10, 10], 0.8), ([10, 5], 0.8), ([20, 5], 0.65)])
def test_links_that_are_not_alike_add_up_too(rates: Sequence[int], least: float) -> None:
    assert share(rates, Policy.STRIPE) > least
    if rates[0] > rates[1]:  # where turns would have the slower one hold up the other
        assert share(rates, Policy.SPRAY) < least


@pytest.mark.slow
def test_loss_on_the_links_is_seen_by_what_overtakes_on_each() -> None:
    report = from_links([10, 5], Policy.STRIPE, BODY[:2_000_000], loss=0.01)
    assert report.duration < 10 * SECOND


def test_a_replica_that_dies_leaves_the_work_to_the_other() -> None:
    def scenario(simulation: Simulation) -> Report:
        def kill() -> None:
            simulation.replicas[0].kill()

        simulation.clock.after(300 * MILLISECOND, kill)
        return download(simulation, BODY[:1_000_000], config=STRIPE, replicas=[ReplicaSpec()] * 2)

    report = run_scenario(scenario, 1)
    assert report.duration < 4 * SECOND
