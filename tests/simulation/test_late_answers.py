"""What was given up as lost comes after all: nothing that it brings may spoil what goes on."""

from dataclasses import replace

import pytest

from tests.support.worlds import HOME, content, download
from trickles.testing import MILLISECOND, TEN_MEGABIT, ClientHost, Report, Simulation, for_seeds

BODY = content(50_000)


def late_restart(simulation: Simulation) -> Report:
    """The replica sleeps over the first restart; the second one and its repeats are lost while the late answers come.

    Up go a question, the hello, the restart (3) with two repeats, then the second restart (6) with its repeats.
    """

    def arrange(simulation: Simulation, client: ClientHost) -> None:
        simulation.clock.after(75 * MILLISECOND, lambda: simulation.replicas[0].stall(300 * MILLISECOND))

    up = replace(TEN_MEGABIT, drop=frozenset({4, 5, 6, 7, 8, 9}))
    return download(simulation, BODY, config=HOME, replicas=1, up=up, arrange=arrange)


def test_answers_to_a_restart_that_was_given_up_are_harmless() -> None:
    (report,) = for_seeds(late_restart, [1])
    assert report.bytes_received == len(BODY)


@pytest.mark.parametrize("stall", [30, 100, 210, 400, 900, 2_000])
@pytest.mark.parametrize("when", [5, 40, 75, 110, 300])
def test_a_replica_that_sleeps_at_any_time_is_left_or_waited_for(stall: int, when: int) -> None:
    def asleep(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            simulation.clock.after(when * MILLISECOND, lambda: simulation.replicas[0].stall(stall * MILLISECOND))

        return download(simulation, BODY * 4, config=HOME, replicas=1 + when % 2, arrange=arrange)

    (report,) = for_seeds(asleep, [stall])
    assert report.bytes_received == 4 * len(BODY)
