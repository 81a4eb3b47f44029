"""Many requests on one connection: every answer whole and in turn, whichever replica gives it."""

from dataclasses import replace

import pytest

from tests.simulation.services import Lines, request
from tests.support.worlds import HOME, ROUGH, SPRAY, client, listener
from trickles.client import ClientConfig
from trickles.testing import (
    MILLISECOND,
    TEN_MEGABIT,
    Arrange,
    BurstLoss,
    ClientHost,
    Conversation,
    LinkSpec,
    Report,
    Scenario,
    Simulation,
    for_seeds,
    kill_at_random,
    rolling_restart,
    run_transfer,
)

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])


def talk(
    exchanges: list[tuple[bytes, bytes]],
    *,
    config: ClientConfig = SPRAY,
    wire: LinkSpec = TEN_MEGABIT,
    replicas: int = 2,
    depth: int = 1,
    think: int = 0,
    arrange: Arrange | None = None,
) -> Scenario:
    """A conversation with replicas that share a keyring."""

    def conversation(simulation: Simulation) -> Report:
        return run_transfer(
            simulation,
            listener(lambda birth: Lines()),
            client(config),
            Conversation(exchanges, depth=depth, think=think),
            replicas=replicas,
            up=wire,
            down=wire,
            arrange=arrange,
        )

    return conversation


@pytest.mark.slow
@policies
def test_thousands_of_small_requests_take_a_round_trip_each(config: ClientConfig) -> None:
    exchanges = [request(number, 10) for number in range(2_000)]
    (report,) = for_seeds(talk(exchanges, config=config), [1])
    assert report.bytes_received == 20_000
    assert report.duration < 2_000 * 33 * MILLISECOND


@pytest.mark.slow
@pytest.mark.parametrize("depth", [4, 32])
def test_thousands_of_small_requests_in_a_pipeline(depth: int) -> None:
    exchanges = [request(number, 10) for number in range(2_000)]
    (report,) = for_seeds(talk(exchanges, depth=depth), [1])
    assert report.bytes_received == 20_000


@pytest.mark.slow
@policies
def test_small_requests_through_loss(config: ClientConfig) -> None:
    exchanges = [request(number, 10) for number in range(300)]
    wire = replace(TEN_MEGABIT, loss=BurstLoss(0.02, longest=3))
    reports = for_seeds(talk(exchanges, config=config, wire=wire), range(5))
    assert sum(report.duration for report in reports) < 5 * 300 * 40 * MILLISECOND


MIXED = [request(number, size) for number, size in enumerate([1, 100_000, 13, 2_000, 50_000, 1_152, 1, 30_000] * 5)]


@pytest.mark.slow
@policies
@pytest.mark.parametrize("depth", [1, 3])
def test_answers_of_all_sizes_on_a_rough_path(config: ClientConfig, depth: int) -> None:
    for report in for_seeds(talk(MIXED, config=config, wire=ROUGH, depth=depth), range(5)):
        assert report.bytes_received == sum(len(answer) for _, answer in MIXED)


@pytest.mark.slow
@policies
def test_answers_of_all_sizes_while_replicas_are_killed(config: ClientConfig) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        kill_at_random(simulation, simulation.replicas, every=100 * MILLISECOND, down=70 * MILLISECOND)

    for report in for_seeds(talk(MIXED, config=config, wire=ROUGH, replicas=3, arrange=arrange), range(5)):
        assert report.bytes_received == sum(len(answer) for _, answer in MIXED)


@pytest.mark.slow
@policies
def test_a_rolling_restart_goes_unnoticed(config: ClientConfig) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        rolling_restart(simulation, simulation.replicas, every=50 * MILLISECOND)

    restarted = for_seeds(talk(MIXED, config=config, arrange=arrange), range(3))
    quiet = for_seeds(talk(MIXED, config=config), range(3))
    assert sum(each.duration for each in restarted) < 1.3 * sum(each.duration for each in quiet)


def test_requests_with_pauses_between_them() -> None:
    exchanges = [request(number, 5_000) for number in range(20)]
    for report in for_seeds(talk(exchanges, think=700 * MILLISECOND, wire=ROUGH), range(3)):
        assert report.bytes_received == 100_000
