"""A fleet that holds the keys says anything at all: the client never raises, never spins, and stays small and quick.

`python -m tests.fuzz.test_hostile_fleets SEED COUNT` goes on by hand.
"""

import sys
from random import Random

import pytest

from tests.support.hostile_fleet import MOVES, HostileFleet
from tests.support.inside import parts
from trickles.client import Policy
from trickles.limits import Limits
from trickles.wire.kinds import Suite

ROUNDS = 100
MOST_LINES = 40_000  # of one datagram, sending included: a few milliseconds
MEAN_LINES = 4_000


def sizes(fleet: HostileFleet) -> None:
    """Everything that grows has its bound."""
    state, limits = parts(fleet.client), fleet.limits
    board = state.flight.board
    bounds = {
        "waiting": (board.waiting, limits.most_out_of_order),
        "holes": (board.holes, limits.max_runs + 1),
        "runs": (len(board._runs), 3 * limits.max_runs),
        "claims": (len(state.requests), limits.max_requests_in_flight),
        "numbers": (max((each.stop - each.start for each in state.requests), default=0), 64),
        "repeats": (max((len(each.datagrams) for each in state.requests), default=0), 16),
        "frames": (len(state.output.requested.frames), limits.max_continuations),
        "lost": (len(state.output.requested._lost), 1024),
        "pieces of output": (len(state.output.arrived._pieces), limits.most_out_of_order),
        "output": (state.output.arrived.ready_bytes, limits.receive_window_bytes),
        "pieces of input": (len(state.upload._pieces), limits.max_pieces_in_flight),
        "conversions": (len(state.output.conversions), 1024),
        "doubted": (len(state.recovery.doubted), 256),
        "pings": (len(state.path.pings), 6),
    }
    for name, (size, most) in bounds.items():
        assert size <= most, f"{name}: {size}, at most {most}"


def torment(seed: int, rounds: int = ROUNDS) -> tuple[int, int]:
    """One hostile fleet; returns how many lines its worst datagram cost, and all in the mean."""
    rng = Random(seed)
    limits = Limits(receive_window_bytes=rng.choice([20_000, 1 << 20, 4 << 20]))
    suite, policy = rng.choice(list(Suite)), rng.choice(list(Policy))
    fleet = HostileFleet(suite, policy, limits)
    weights = [rng.random() ** 2 + 0.01 for _ in MOVES]  # each fleet has its habits
    work: list[int] = []
    for _ in range(rounds):
        if fleet.failed:
            fleet = HostileFleet(suite, policy, limits)
        (move,) = rng.choices(MOVES, weights)
        move(fleet, rng)
        fleet.turn()
        sizes(fleet)
        work += fleet.work
        fleet.work.clear()
        fleet.sent.clear()
    assert max(work) < MOST_LINES, f"seed {seed}: {max(work)} lines for one datagram"
    assert sum(work) < MEAN_LINES * len(work), f"seed {seed}: {sum(work) // len(work)} lines for each datagram"
    return max(work), sum(work) // len(work)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_whatever_a_fleet_says_its_client_stays_small_and_quick(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        torment(seed)


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:3])
    for seed in range(first, first + count):
        print(seed, *torment(seed))
