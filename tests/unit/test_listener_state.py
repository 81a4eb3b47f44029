"""A listener keeps nothing about its clients: what it holds is bounded and may be lost at any time."""

import gc
import sys
from random import Random
from types import FunctionType, ModuleType

import pytest

from tests.support.desk import ROUND_TRIP, Desk, datagrams
from tests.support.fleetkeys import WALL, entropy, epoch, ring
from tests.support.net import HOME, SPRAY, Net, fleet
from tests.support.peer import Peer
from tests.support.toys import File, body
from trickles.client import ClientConfig
from trickles.limits import Limits
from trickles.listener import Listener

SMALL = Limits(path_cache=20, claims_cache=20, replay_bits=1 << 21, max_hellos_per_second=1 << 30)
SHARED = (type, ModuleType, FunctionType)


def held_bytes(root: object) -> int:
    """All that can be reached from an object, but for what every process has anyway: classes, modules, functions."""
    seen: set[int] = set()
    waiting, total = [root], 0
    while waiting:
        found = waiting.pop()
        if id(found) not in seen and not isinstance(found, SHARED):
            seen.add(id(found))
            total += sys.getsizeof(found)
            waiting += gc.get_referents(found)
    return total


def visit(listener: Listener, number: int) -> None:
    """One client says hello, restarts, and is never heard of again."""
    peer, now = Peer(f"visitor {number}"), WALL + number * 20_000
    peer.read(datagrams(listener, peer.hello(epoch(), b"GET\n", wanted=3600), now=now))
    peer.read(datagrams(listener, peer.restart(5), now=now + ROUND_TRIP))
    assert peer.top == 6


def test_the_walk_sees_what_a_listener_holds() -> None:
    desk = Desk()
    before = held_bytes(desk.listener)
    assert before >= 4096  # a new replay filter alone
    desk.listener.on_ready = bytearray(50_000).clear
    assert held_bytes(desk.listener) >= before + 50_000


@pytest.mark.slow
def test_ten_thousand_connections_leave_nothing_behind() -> None:
    listener = Listener(ring(), File(b"a small page"), entropy=entropy(), limits=SMALL)
    visit(listener, 0)
    listener.drop_caches()
    before = held_bytes(listener)
    for number in range(1, 10_001):
        visit(listener, number)
        if number == 1000:
            bounded = held_bytes(listener)
    assert listener.counters["hellos"] == 10_001
    assert before < held_bytes(listener) <= bounded * 1.05  # what a thousand filled, ten thousand do not fill further
    listener.drop_caches()
    assert held_bytes(listener) <= before + 500  # the numbers counted have more digits now


def test_each_cache_is_bounded_by_its_limit() -> None:
    sizes = []
    for most in (10, 40):
        limits = Limits(path_cache=most, claims_cache=most, replay_bits=1 << 13)
        listener = Listener(ring(), File(b"a small page"), entropy=entropy(), limits=limits)
        empty = held_bytes(listener)
        for number in range(60):
            visit(listener, number)
        sizes.append(held_bytes(listener) - empty)
    assert sizes[0] < sizes[1] < 4.2 * sizes[0]


@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_losing_all_soft_state_at_any_moment_costs_nothing_but_time(config: ClientConfig) -> None:
    content = body(40_000)
    for seed in range(20):
        net, chance = Net(fleet(File(content)), seed=seed, loss=0.02, shuffle_us=50, config=config), Random(seed)

        def forget(listeners: list[Listener] = net.listeners, chance: Random = chance) -> None:
            if chance.random() < 0.3:
                chance.choice(listeners).drop_caches()

        net.before_step = forget
        assert net.run() == content, f"seed {seed}"
        assert net.outcome == "end", f"seed {seed}"


def test_a_listener_replaced_by_a_new_one_before_every_datagram_serves_all_the_same() -> None:
    content = body(60_000)
    net = Net(fleet(File(content)), config=HOME, shuffle_us=50)

    def replace() -> None:
        for replica in net.replicas:
            replica.restart()

    net.before_step = replace
    assert net.run() == content
    assert net.outcome == "end"
