"""Failures of hosts during a run: death and return, on a timetable or at random."""

from __future__ import annotations

from collections.abc import Sequence

from trickles.testing.replica import Replica
from trickles.testing.simulation import Simulation


def kill_at(simulation: Simulation, replica: Replica, when: int, *, unreachable: bool = False) -> None:
    """Kill one replica `when` microseconds from now, for good."""
    simulation.clock.after(when, lambda: replica.kill(unreachable=unreachable))


def outage(simulation: Simulation, replica: Replica, start: int, down: int, *, unreachable: bool = False) -> None:
    """Kill one replica in `start` microseconds and start a new process `down` later."""
    kill_at(simulation, replica, start, unreachable=unreachable)
    simulation.clock.after(start + down, replica.restart)


def kill_at_random(
    simulation: Simulation,
    replicas: Sequence[Replica],
    *,
    every: int,
    down: int,
    survivors: int = 1,
    unreachable: bool = False,
) -> None:
    """Kill a random living replica each `every` microseconds; it returns `down` later without state.

    It is spared if fewer than `survivors` others live. The choices have their own random stream.
    """
    rng = simulation.random("kills")

    def strike() -> None:
        living = [replica for replica in replicas if replica.alive]
        if len(living) > survivors:
            victim = rng.choice(living)
            victim.kill(unreachable=unreachable)
            simulation.clock.after(down, victim.restart)

    simulation.clock.every(every, strike)


def rolling_restart(simulation: Simulation, replicas: Sequence[Replica], *, every: int) -> None:
    """Restart the replicas in turn, one each `every` microseconds: a rolling deploy without draining."""
    turn = 0

    def restart_next() -> None:
        nonlocal turn
        replicas[turn % len(replicas)].restart()
        turn += 1

    simulation.clock.every(every, restart_next)
