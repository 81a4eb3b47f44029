"""The promise: replicas that share only a keyring serve alternate packets of one download, and no byte is wrong."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.simulation.alternating import CARELESS, PLANNED, Trouble, alternate
from tests.support.worlds import HOME, SPRAY, content
from trickles.client import Policy
from trickles.testing import (
    SECOND,
    TEN_MEGABIT,
    BurstLoss,
    Gilbert,
    LinkSpec,
    Report,
    Scenario,
    Simulation,
    assert_replayable,
    for_seeds,
)

BODY = content(100_000)
SKEW = 5 * SECOND
AWFUL = LinkSpec(
    rate=10_000_000,
    delay=15_000,
    jitter=3_000,
    queue_packets=25,
    loss=Gilbert(enter=0.02, leave=0.3, loss_bad=0.5),
    reorder=0.1,
    duplicate=0.1,
    corrupt=0.02,
)

TROUBLES = {
    "client sprays": Trouble(),
    "network sprays": Trouble(anycast="random"),
    "network alternates": Trouble(anycast="round_robin"),
    "client at home, network sprays": Trouble(config=HOME, anycast="random"),
    "stripes": Trouble(config=replace(SPRAY, policy=Policy.STRIPE), replicas=3),
    "bursts of losses": Trouble(wire=replace(TEN_MEGABIT, loss=BurstLoss(0.02, longest=3))),
    "awful wire": Trouble(wire=AWFUL),
    "caches dropped": Trouble(drop_caches=0.1),
    "caches dropped, network sprays": Trouble(drop_caches=0.1, anycast="random"),
    "no caches at all": Trouble(drop_caches=1.0, anycast="random"),
    "kills": Trouble(kills=True, replicas=3),
    "kills seen": Trouble(kills=True, replicas=3, unreachable=True),
    "kills at home": Trouble(config=HOME, kills=True, replicas=3),
    "kills, network sprays": Trouble(kills=True, replicas=3, anycast="random"),
    "rotation": Trouble(rotation=PLANNED),
    "rotation, network sprays": Trouble(rotation=PLANNED, anycast="random"),
    "careless rotation": Trouble(rotation=CARELESS),
    "careless rotation, network sprays": Trouble(rotation=CARELESS, anycast="random"),
    "skewed clocks": Trouble(skew=SKEW),
    "skewed clocks, network sprays": Trouble(skew=SKEW, anycast="round_robin"),
    "everything but skew": Trouble(rotation=CARELESS, kills=True, drop_caches=0.1, replicas=3, anycast="random"),
    "everything but rotation": Trouble(skew=SKEW, kills=True, drop_caches=0.1, replicas=3, anycast="random"),
}

everyone = pytest.mark.parametrize("name", TROUBLES)


def scenario(name: str, body: bytes = BODY) -> Scenario:
    """That trouble, under a name that tells in a failure which one it was."""

    def alternate_packets(simulation: Simulation) -> Report:
        return alternate(simulation, body, TROUBLES[name])

    alternate_packets.__name__ = f"scenario({name!r})"
    return alternate_packets


@pytest.mark.slow
@everyone
def test_no_byte_is_wrong_whoever_answers(name: str) -> None:
    for report in for_seeds(scenario(name), range(10)):
        assert report.bytes_received == len(BODY)


@pytest.mark.slow
@everyone
def test_no_byte_is_wrong_whoever_answers_in_many_runs(name: str) -> None:
    reports = for_seeds(scenario(name), range(1_000, 1_120))
    assert Counter(report.bytes_received for report in reports) == {len(BODY): 120}


@pytest.mark.slow
@everyone
def test_no_byte_of_a_large_download_is_wrong(name: str) -> None:
    body = content(1_000_000)
    for report in for_seeds(scenario(name, body), range(2_000, 2_004)):
        assert report.bytes_received == len(body)


@pytest.mark.parametrize("name", ["client sprays", "network sprays", "network alternates"])
def test_each_replica_serves_its_share(name: str) -> None:
    reports = for_seeds(scenario(name), range(10))
    one, other = (sum(report.replicas[f"replica {index}"].sent for report in reports) for index in range(2))
    assert min(one, other) > 0.3 * (one + other)  # a client leaves a replica alone for a second when an answer is lost


def test_a_run_can_be_replayed_from_its_seed() -> None:
    assert_replayable(scenario("everything but skew"), 1)
    assert_replayable(scenario("awful wire"), 2)
