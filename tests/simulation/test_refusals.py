"""Replicas that say no: busy ones are asked again, others that lack the content are left, and an end is an end."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulation.services import Refuser
from tests.support.toys import File
from tests.support.worlds import HOME, REQUEST, SPRAY, client, content, listener
from trickles.client import ClientConfig
from trickles.service import Event, Refusal
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Birth,
    ClientHost,
    Fetch,
    LinkSpec,
    Report,
    Scenario,
    Simulation,
    for_seeds,
    kill_at,
    run_transfer,
)

BODY = content(200_000)
ROUGH = replace(TEN_MEGABIT, loss=0.02)

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
wires = pytest.mark.parametrize("wire", [TEN_MEGABIT, ROUGH], ids=["clean", "lossy"])


def refusing(
    rule: Callable[[Birth, Event, int], Refusal | None],
    config: ClientConfig = HOME,
    *,
    wire: LinkSpec = TEN_MEGABIT,
    replicas: int = 2,
    arrange: Callable[[Simulation, ClientHost], None] | None = None,
) -> Scenario:
    """A download from replicas that refuse by a rule, which sees the process, the event and how many came before."""

    def refused(simulation: Simulation) -> Report:
        def serve(birth: Birth) -> Refuser:
            return Refuser(File(BODY), lambda event, number: rule(birth, event, number))

        return run_transfer(
            simulation,
            listener(serve),
            client(config),
            Fetch(REQUEST, BODY),
            replicas=replicas,
            up=wire,
            down=wire,
            max_time=120 * SECOND,
            arrange=arrange,
        )

    return refused


@pytest.mark.slow
@policies
@wires
@pytest.mark.parametrize("lacking", [0, 1])
def test_a_replica_that_lacks_the_content_is_left(config: ClientConfig, wire: LinkSpec, lacking: int) -> None:
    scenario = refusing(lambda birth, *_: Refusal.NOT_HERE if birth.index == lacking else None, config, wire=wire)
    for report in for_seeds(scenario, range(4)):
        assert report.duration < 5 * SECOND


@pytest.mark.slow
@policies
def test_a_replica_that_loses_the_content_on_the_way_is_left(config: ClientConfig) -> None:
    scenario = refusing(lambda birth, _, n: Refusal.NOT_HERE if birth.index == 0 and n >= 10 else None, config)
    for report in for_seeds(scenario, range(4)):
        assert report.duration < 5 * SECOND


@pytest.mark.slow
@policies
@wires
def test_a_replica_that_ends_is_left(config: ClientConfig, wire: LinkSpec) -> None:
    scenario = refusing(lambda birth, _, n: Refusal.ENDING if birth.index == 0 and n >= 10 else None, config, wire=wire)
    for report in for_seeds(scenario, range(4)):
        assert report.duration < 5 * SECOND


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_fleet_that_ends_and_is_back_is_asked_with_growing_pauses(replicas: int) -> None:
    start = Simulation(0).world.wall

    def rule(birth: Birth, event: Event, number: int) -> Refusal | None:
        return Refusal.ENDING if 100 * MILLISECOND < birth.now() - start < 3 * SECOND else None

    for report in for_seeds(refusing(rule, replicas=replicas), range(4)):
        assert report.duration < 5 * SECOND


@policies
@wires
def test_content_that_nobody_has_ends_the_connection(config: ClientConfig, wire: LinkSpec) -> None:
    for seed in range(4):
        report = refusing(lambda *_: Refusal.NOT_HERE, config, wire=wire)(Simulation(seed))
        assert (report.failure, report.bytes_received) == ("no replica can continue", 0)
        assert report.duration < 10 * SECOND


@policies
@wires
@pytest.mark.parametrize("unreachable", [False, True])
@pytest.mark.parametrize("after", [0, 4])
def test_content_that_only_a_dead_replica_had_ends_the_connection(
    config: ClientConfig, wire: LinkSpec, unreachable: bool, after: int
) -> None:
    """Those that live say no, and the one that had it never answers again."""

    def killed(simulation: Simulation, client: ClientHost) -> None:
        kill_at(simulation, simulation.replicas[0], 150 * MILLISECOND, unreachable=unreachable)

    def rule(birth: Birth, event: Event, number: int) -> Refusal | None:
        if birth.index:
            return Refusal.NOT_HERE
        return None if number < after else Refusal.BUSY

    for seed in range(4):
        report = refusing(rule, config, wire=wire, arrange=killed)(Simulation(seed))
        assert report.failure == "no replica can continue"
        assert report.duration < 40 * SECOND


@policies
@wires
@pytest.mark.parametrize("after", [0, 5, 20])
def test_a_transfer_that_is_gone_ends_visibly(config: ClientConfig, wire: LinkSpec, after: int) -> None:
    for seed in range(4):
        scenario = refusing(lambda birth, event, number: Refusal.GONE if number >= after else None, config, wire=wire)
        report = scenario(Simulation(seed))
        assert report.failure == "gone"
        assert report.bytes_received < len(BODY)


@pytest.mark.slow
@policies
@wires
@pytest.mark.parametrize("often", [2, 5])
def test_replicas_that_are_busy_now_and_then_are_asked_again(config: ClientConfig, wire: LinkSpec, often: int) -> None:
    scenario = refusing(lambda birth, _, n: Refusal.BUSY if (n + birth.index) % often == 0 else None, config, wire=wire)
    for report in for_seeds(scenario, range(4)):
        assert report.duration < 20 * SECOND


@policies
def test_a_fleet_that_is_busy_for_three_seconds_is_asked_with_growing_pauses(config: ClientConfig) -> None:
    start = Simulation(0).world.wall

    def rule(birth: Birth, event: Event, number: int) -> Refusal | None:
        return Refusal.BUSY if 100 * MILLISECOND < birth.now() - start < 3 * SECOND else None

    for report in for_seeds(refusing(rule, config), range(4)):
        assert 3 * SECOND < report.duration < 6 * SECOND
        assert report.client.sent < 500


@policies
@pytest.mark.parametrize("refusal", [Refusal.NOT_HERE, Refusal.BUSY])
def test_the_first_request_is_refused_by_the_first_replica(config: ClientConfig, refusal: Refusal) -> None:
    """What rides on a hello, too, may be refused."""
    scenario = refusing(lambda birth, event, number: refusal if number == 0 and birth.index == 0 else None, config)
    for report in for_seeds(scenario, range(2)):
        assert report.duration < 2 * SECOND
