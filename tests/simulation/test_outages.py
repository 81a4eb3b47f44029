"""Replicas that die, all of them too, and come back: a transfer waits for them, and fails visibly if they do not."""

from dataclasses import replace

import pytest

from tests.support.worlds import HOME, SPRAY, content, download
from trickles.client import ClientConfig
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Blackhole,
    ClientHost,
    Report,
    Scenario,
    Simulation,
    for_seeds,
    kill_at,
    outage,
)

BODY = content(1_000_000)
ROUND_TRIP = 2 * TEN_MEGABIT.delay

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
seen = pytest.mark.parametrize("unreachable", [False, True], ids=["silent", "unreachable"])


def without(
    config: ClientConfig, start: int, down: int, *, replicas: int = 2, dying: int | None = None, unreachable: bool
) -> Scenario:
    """A download while the first `dying` replicas (default: all) are away for `down` microseconds from `start` on."""

    def away(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            for replica in simulation.replicas[:dying]:
                outage(simulation, replica, start, down, unreachable=unreachable)

        return download(simulation, BODY, config=config, replicas=replicas, arrange=arrange)

    return away


@pytest.mark.slow
@policies
@seen
@pytest.mark.parametrize("down", [SECOND // 10, SECOND, 10 * SECOND, 25 * SECOND])
def test_all_replicas_are_away_for_a_while(config: ClientConfig, unreachable: bool, down: int) -> None:
    (report,) = for_seeds(without(config, 400 * MILLISECOND, down, unreachable=unreachable), [1])
    late = SECOND if unreachable else down + SECOND  # their death was no congestion: no long waits
    assert down - 2 * ROUND_TRIP < report.longest_gap < down + late


@pytest.mark.slow
@policies
@pytest.mark.parametrize("down", [1, 5, 20])
def test_a_fleet_that_starts_is_found_soon(config: ClientConfig, down: int) -> None:
    scenario = without(config, 0, down * SECOND, unreachable=True)
    (report,) = for_seeds(scenario, [1])
    assert report.longest_gap < down * SECOND + SECOND // 2


@policies
@pytest.mark.parametrize("unreachable", [False, pytest.param(True)], ids=["silent", "unreachable"])
def test_all_replicas_are_away_for_good(config: ClientConfig, unreachable: bool) -> None:
    report = without(config, 400 * MILLISECOND, 1 << 50, unreachable=unreachable)(Simulation(1))
    assert (report.completed, report.failure) == (False, "no replica answers")
    assert 30 * SECOND < report.duration < 95 * SECOND  # the last try may come long after half a minute of silence
    assert report.client.sent < 500  # most of it before they died


@pytest.mark.slow
@policies
@seen
@pytest.mark.parametrize("start", [10, 40, 61, 75, 110, 400, 700])
def test_one_of_two_replicas_dies_at_any_moment(config: ClientConfig, unreachable: bool, start: int) -> None:
    """Queues make round trips longer than the bare path; a gap of a second would be a timeout."""
    scenario = without(config, start * MILLISECOND, 1 << 50, dying=1, unreachable=unreachable)
    (report,) = for_seeds(scenario, [1])
    assert report.longest_gap < (500 if start > 70 else 1_000) * MILLISECOND


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 900, 50))
def test_a_seen_death_costs_about_a_round_trip(start: int) -> None:
    scenario = without(HOME, start * MILLISECOND, 1 << 50, dying=1, unreachable=True)
    (report,) = for_seeds(scenario, [1])
    assert report.longest_gap < 6 * ROUND_TRIP  # what all requests ask for again at once may overflow the queue


@pytest.mark.slow
def test_replicas_die_one_after_the_other_until_one_is_left() -> None:
    def dwindling(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            for index, replica in enumerate(simulation.replicas[:-1]):
                kill_at(simulation, replica, (index + 1) * 150 * MILLISECOND)

        return download(simulation, BODY, replicas=5, arrange=arrange)

    (report,) = for_seeds(dwindling, [1])
    assert report.duration < 4 * SECOND


@pytest.mark.slow
@policies
def test_the_network_is_away_for_two_seconds_in_seven(config: ClientConfig) -> None:
    wire = replace(TEN_MEGABIT, rate=2_000_000, blackholes=(Blackhole(2 * SECOND, 3 * SECOND, 7 * SECOND),))

    def interrupted(simulation: Simulation) -> Report:
        return download(simulation, BODY * 5, config=config, up=wire, down=wire)

    (report,) = for_seeds(interrupted, [1])
    assert report.duration < 45 * SECOND  # 20 s of data, and 2 of 7 s lost
    assert report.longest_gap < 4 * SECOND


@pytest.mark.slow
@policies
def test_the_network_is_away_for_a_long_time(config: ClientConfig) -> None:
    wire = replace(TEN_MEGABIT, blackholes=(Blackhole(29 * SECOND, SECOND // 2),))

    def interrupted(simulation: Simulation) -> Report:
        return download(simulation, BODY, config=config, up=wire, down=wire)

    (report,) = for_seeds(interrupted, [1])
    assert report.longest_gap < 60 * SECOND
