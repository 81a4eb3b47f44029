"""Replicas that see one client under different addresses, or whose clocks differ: cling to one, or fail and say why."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from tests.support.fleetkeys import entropy, ring
from tests.support.inside import parts
from tests.support.toynet import HOME, SPRAY, Toynet, fleet
from tests.support.toys import File, body
from trickles.client import ClientConfig, Policy
from trickles.client.refusals import CHALLENGES
from trickles.limits import SECOND, Limits
from trickles.listener import Listener
from trickles.service import Continuation, Event, Reply
from trickles.spool import MemorySpool
from trickles.wire.kinds import Address, Burst

CONTENT = body(300_000)
STRIPE = replace(SPRAY, policy=Policy.STRIPE)
OUTER = "198.51.100."

spreading = pytest.mark.parametrize("config", [SPRAY, STRIPE], ids=["spray", "stripe"])


class Translated(Toynet):
    """A network in which each replica sees the client under another address, or each datagram comes from another."""

    pool = 0  # addresses taken by turns; 0: one for each replica
    turns = count()

    def _arrive(self, source: Address, destination: Address, datagram: bytes) -> None:
        if destination in self.listeners:
            turn = next(self.turns) % self.pool if self.pool else int(destination[0].rpartition(".")[2])
            source = (f"{OUTER}{turn}", source[1])
        elif destination[0].startswith(OUTER):
            destination = self.source
        super()._arrive(source, destination, datagram)


@spreading
@pytest.mark.parametrize("size", [2, 3])
def test_a_client_that_each_replica_sees_elsewhere_clings_to_one(config: ClientConfig, size: int) -> None:
    net = Translated(fleet(File(CONTENT), size), config=config, jitter_us=1)
    assert net.run() == CONTENT
    assert net.outcome == "end"
    assert net.now < 2 * SECOND
    if config.policy is Policy.SPRAY:  # a path of policy stripe is tried again now and then
        assert net.client.statistics()["refused_address"] <= 2 * CHALLENGES  # type: ignore[operator]


class Eating:
    """Takes all input and says how much it was."""

    def handle(self, event: Event) -> Reply:
        known, new = event.continuation, None
        if event.input_end and known is None:
            known = new = Continuation(b"%d" % event.input_stop, 0, 8, event.input_stop)
        return Reply(() if known is None else ((0, known.state.rjust(8)),), new, 8 if known is not None else None)


@spreading
def test_input_from_such_a_client_arrives_too(config: ClientConfig) -> None:
    spool, random = MemorySpool(), entropy()
    listeners = [Listener(ring(), Eating(), entropy=random, spool=spool) for _ in range(2)]
    net = Translated(listeners, config=config, jitter_us=1)
    assert net.run(bytes(50_000), ends=True) == b"   50000"


@pytest.mark.parametrize("config", [HOME, SPRAY, STRIPE], ids=["home", "spray", "stripe"])
def test_a_client_whose_address_changes_with_each_datagram_fails_and_says_so(config: ClientConfig) -> None:
    net = Translated(fleet(File(CONTENT)), config=config, jitter_us=1)
    net.pool = 3
    net.run()
    assert net.outcome == "address keeps changing"
    assert net.now < 10 * SECOND
    assert net.client.statistics()["requests"] < 100  # type: ignore[operator]


class Elsewhen:
    """A replica whose clock is ahead."""

    def __init__(self, listener: Listener, ahead: int) -> None:
        self.counters, self.next_timeout = listener.counters, listener.next_timeout
        self._listener, self._ahead = listener, ahead

    def handle(self, datagram: bytes, source: Address, *, now: int) -> list[Burst]:
        return self._listener.handle(datagram, source, now=now + self._ahead)

    def poll(self, now: int) -> list[Burst]:
        return self._listener.poll(now + self._ahead)


def apart(listeners: Sequence[Listener]) -> list[Listener]:
    """Those replicas, each an hour ahead of the one before."""
    return [Elsewhen(each, 3600 * SECOND * at) for at, each in enumerate(listeners)]  # type: ignore[misc]


@spreading
def test_a_client_of_replicas_whose_clocks_are_far_apart_clings_to_one(config: ClientConfig) -> None:
    net = Toynet(apart(fleet(File(CONTENT))), config=config, jitter_us=1)
    assert net.run() == CONTENT
    assert net.client.statistics()["refused_expired"] > 0  # type: ignore[operator]


@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_continuations_that_expire_at_once_end_the_connection(config: ClientConfig) -> None:
    hasty = Limits(continuation_life=-1)
    net = Toynet(fleet(File(CONTENT), limits=hasty), config=config, jitter_us=1)
    net.run(until_us=300 * SECOND)
    assert net.outcome == "continuations keep expiring"
    assert net.client.statistics()["refused_expired"] == 2 * CHALLENGES + 1


def test_challenges_now_and_then_are_nothing() -> None:
    """A client that moves for each packet of data that it gets does go on."""
    net = Toynet(fleet(File(body(100_000))), config=HOME, jitter_us=1)
    last, hosts = [0], count(1)

    def move() -> None:
        if parts(net.client).output.arrived.next_offset != last[0]:
            last[0] = parts(net.client).output.arrived.next_offset
            net.source = (f"192.0.2.{next(hosts) % 200 + 1}", 40_000)

    net.before_step = move
    net.run(until_us=600 * SECOND)
    assert net.outcome == "end"
    assert net.client.statistics()["refused_address"] > 2 * CHALLENGES  # type: ignore[operator]
