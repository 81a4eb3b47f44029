"""The client by hand: what it remembers, what it proves, and that it opens whatever a replica sends."""

from random import Random

import pytest

from tests.support.desk import ROUND_TRIP, Desk
from tests.support.fleetkeys import WALL, epoch
from tests.support.peer import SOURCE, Peer
from tests.support.toys import Tape
from trickles.errors import BadPacket, Forged
from trickles.limits import DEFAULT_LIMITS, SECOND, Limits
from trickles.listener import Listener
from trickles.listener.sizes import size_proof
from trickles.service import Refusal
from trickles.spool import MemorySpool
from trickles.tools.peer import CookieChallenge, OpenedPacket, Pong
from trickles.tools.received import Received
from trickles.wire.hello import Certificate
from trickles.wire.kinds import Kind, Suite, address_bytes
from trickles.wire.piece import Receipt
from trickles.wire.refusal import RefusalHead
from trickles.wire.request import Run


def stupid_runs(nonces: dict[int, int], base: int, stop: int) -> tuple[Run, ...]:
    """The proof, number by number."""
    runs: list[list[int]] = []
    for number in sorted(each for each in nonces if base <= each < stop):
        if runs and runs[-1][1] == number:
            runs[-1] = [runs[-1][0], number + 1, runs[-1][2] ^ nonces[number]]
        else:
            runs.append([number, number + 1, nonces[number]])
    return tuple((a, b, nonce) for a, b, nonce in runs)


@pytest.mark.parametrize("seed", range(20))
def test_runs_are_those_that_one_counts_by_hand(seed: int) -> None:
    chance, received, known = Random(seed), Received(), dict[int, int]()
    for step in range(300):
        number, nonce = chance.randrange(120), chance.getrandbits(64)
        assert received.add(number, nonce) == (number not in known)
        known.setdefault(number, nonce)
        if step % 50 == 49:  # deleted behind its back, as tests do
            gone = chance.choice(sorted(known))
            del received[gone], known[gone]
        base = chance.randrange(130)
        stop = chance.randrange(base, 140)
        assert received.runs(base, stop) == stupid_runs(known, base, stop)
        assert received.runs(base) == stupid_runs(known, base, 1 << 32)
        assert received.top == max(known, default=-1) + 1


def test_a_run_with_a_number_that_did_not_come_cannot_be_added_up() -> None:
    received = Received()
    received.add(1, 5)
    received.add(3, 6)
    assert received.run(1, 2) == (1, 2, 5)
    with pytest.raises(KeyError):
        received.run(1, 4)


@pytest.mark.parametrize("suite", Suite)
def test_every_continuation_is_kept_once_and_any_can_be_shown(suite: Suite) -> None:
    desk = Desk(Tape(), suite=suite)
    desk.connect()
    peer = desk.peer
    assert [frame.embryo for frame in peer.frames] == [True, False]
    assert peer.transport == peer.frames[-1]
    old = peer.frames[-1]
    desk.now += DEFAULT_LIMITS.continuation_life // 3
    assert desk.ask(peer.speak(peer.base, peer.top))  # it is old: renewed
    assert len(peer.frames) == 3
    assert peer.blob != old.blob
    assert len(desk.send(peer.speak(peer.top - 2, peer.top, frame=old))) == 4


def test_a_restart_at_the_bound_is_taken_and_one_below_it_is_not() -> None:
    desk = Desk(Tape())
    desk.greet()
    desk.now += ROUND_TRIP
    assert desk.send(desk.peer.restart(desk.peer.bound() - 1)) == []
    assert len(desk.ask(desk.peer.restart(desk.peer.bound()))) == 10
    lost = [desk.peer.top - 4]
    del desk.peer.nonces[lost[0]]
    desk.now += SECOND
    assert desk.send(desk.peer.restart(desk.peer.bound() - 1)) == []
    assert len(desk.ask(desk.peer.restart(desk.peer.bound()))) == 2  # after a loss


def test_it_opens_every_kind_of_reply_and_takes_over_what_mends_a_refusal() -> None:
    desk = Desk(Tape())
    listener = Listener(desk.keyring, Tape(), entropy=Random(1).randbytes, spool=MemorySpool())
    desk.listener = listener
    desk.connect()
    peer = desk.peer
    (pong,) = desk.send(peer.ping(500))
    proof = size_proof(desk.keyring, address_bytes(SOURCE[0]), 500, now=desk.now, limits=DEFAULT_LIMITS)
    assert peer.receive(pong) == Pong(peer.number, 500, proof)
    assert peer.sizes == {500: proof}
    (answer,) = desk.send(peer.piece(0, b"input"))
    receipt = peer.receive(answer)
    assert isinstance(receipt, Receipt)
    assert (receipt.start, receipt.stop) == (0, 5)
    (answer,) = desk.send(bytes((Kind.ASK,)).ljust(200, b"\0"))
    assert isinstance(peer.receive(answer), Certificate)
    answers = desk.send(peer.speak(peer.base, peer.top))
    before = peer.top
    assert all(isinstance(peer.receive(each), OpenedPacket) for each in answers)
    assert peer.top > before
    desk.now += 2 * DEFAULT_LIMITS.continuation_life
    (answer,) = desk.send(peer.speak(peer.top - 1, peer.top))
    refusal = peer.receive(answer)
    assert isinstance(refusal, RefusalHead)
    assert refusal.code is Refusal.EXPIRED
    assert peer.transport is not None
    assert peer.transport.embryo
    assert peer.transport == refusal.transport


def test_a_cookie_is_brought_by_the_next_hello() -> None:
    desk = Desk(Tape(), limits=Limits(max_hellos_per_second=0))
    (answer,) = desk.send(desk.peer.hello(epoch()))
    cookie = desk.peer.receive(answer)
    assert isinstance(cookie, CookieChallenge)
    assert len(desk.ask(desk.peer.hello(epoch(), b"GET\n", wanted=3600, cookie=cookie.cookie))) == 3


def test_what_is_no_reply_or_not_for_it_raises_one_kind_of_error() -> None:
    desk = Desk(Tape())
    answers = [*desk.send(desk.peer.hello(epoch(), b"GET\n", wanted=3600)), desk.peer.hello(epoch()), b""]
    stranger = Peer("stranger")
    for answer in answers:
        for length in {len(answer), len(answer) - 1, 40, 20, 1, 0}:
            with pytest.raises(BadPacket):
                stranger.receive(answer[:length])
    with pytest.raises(Forged):
        stranger.receive(answers[0])
    assert not stranger.nonces
    assert desk.now == WALL
