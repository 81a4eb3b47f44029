"""A hostile fleet whose client dies and is resumed at any time: each snapshot is read again, and nothing breaks by it.

`python -m tests.fuzz.test_hostile_snapshots SEED COUNT` goes on by hand.
"""

import sys
from random import Random

import pytest

from tests.fuzz.test_hostile_fleets import sizes
from tests.support.authentic import REPLICAS
from tests.support.hostile_fleet import MOVES, HostileFleet
from tests.support.inside import parts
from tests.support.resuming import copied
from trickles.client import Client, Policy
from trickles.errors import ConnectionFailed, LocalProtocolError
from trickles.limits import Limits
from trickles.wire.kinds import Suite

ROUNDS = 150


def die(fleet: HostileFleet) -> bool:
    """Go on from a snapshot; False when the connection is complete, or was resumed too often without an answer."""
    try:
        snapshot = fleet.client.snapshot()
    except LocalProtocolError:
        return False
    try:
        fleet.client = Client.resume(REPLICAS, copied(snapshot), parts(fleet.client).config)
    except ConnectionFailed:
        return False
    return True


def torment(seed: int) -> int:
    """One hostile fleet; returns how often its client was resumed."""
    rng, resumed = Random(seed), 0
    suite, policy, limits = rng.choice(list(Suite)), rng.choice(list(Policy)), Limits(receive_window_bytes=1 << 20)
    weights = [rng.random() ** 2 + 0.01 for _ in MOVES]
    fleet = HostileFleet(suite, policy, limits)
    for _ in range(ROUNDS):
        (move,) = rng.choices(MOVES, weights)
        move(fleet, rng)
        fleet.turn()
        sizes(fleet)
        if fleet.failed or (rng.random() < 0.15 and not die(fleet)):
            fleet = HostileFleet(suite, policy, limits)
            continue
        resumed += 1
    return resumed


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_a_client_of_a_hostile_fleet_can_be_resumed_at_any_time(block: int) -> None:
    assert sum(torment(seed) for seed in range(10 * block, 10 * block + 10)) > 100, f"seeds from {10 * block}"


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:3])
    for seed in range(first, first + count):
        print(seed, torment(seed))
