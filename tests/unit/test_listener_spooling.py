"""Pieces whose receipts come later, and commits whose input is fetched first: answers, bounds, refusals."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.desk import Desk
from tests.support.fleetkeys import entropy
from tests.support.limits import TEST_LIMITS
from tests.support.spools import LaterSpool
from tests.support.toys import Seen, Tape
from trickles.errors import InputBusy
from trickles.listener import Listener
from trickles.promise import Promise
from trickles.service import Event, Refusal, Reply
from trickles.spool import MemorySpool
from trickles.wire.kinds import Kind, RequestFlag
from trickles.wire.piece import Receipt, commit_body
from trickles.wire.refusal import RefusalHead

FEW = replace(TEST_LIMITS, max_storing_pieces=4, max_storing_bytes=1 << 16, max_fetching=2)
COMMIT = RequestFlag.INPUT | RequestFlag.COMMIT


class Bench(Desk):
    """A desk with a store whose work is done when the test says."""

    def __init__(self, most_bytes: int = 1 << 20) -> None:
        super().__init__(limits=FEW)
        self.work: list[Callable[[], object]] = []
        self.store = MemorySpool(most_bytes)
        self.seen = Seen(Tape().handle)
        spool = LaterSpool(self.store, self.work.append)
        self.listener = Listener(self.keyring, self.seen, entropy=entropy(), limits=FEW, spool=spool)
        self.connect()

    def later(self) -> list[bytes]:
        """Let the store do its work; what the listener sends then."""
        work, self.work[:] = list(self.work), []
        for each in work:
            each()
        return [datagram for burst in self.listener.resolved() for datagram in burst.datagrams()]

    def piece(self, offset: int, data: bytes) -> list[bytes]:
        """What the listener answers to a piece at once."""
        return self.send(self.peer.piece(offset, data))

    def commit(self, stop: int, proof: int) -> list[bytes]:
        """What it answers at once to a commit of input up to there."""
        self.now += 50_000
        body = commit_body(0, stop, proof)
        return self.send(self.peer.restart(self.peer_bound(), flags=COMMIT, input_offset=0, input=body))

    def receipts(self, datagrams: list[bytes]) -> list[Receipt]:
        """The receipts among them."""
        opened = [self.peer.receive(each) for each in datagrams]
        return [each for each in opened if isinstance(each, Receipt)]

    def refusals(self, datagrams: list[bytes]) -> list[Refusal]:
        """The refusals among them."""
        opened = [self.peer.receive(each) for each in datagrams]
        return [each.code for each in opened if isinstance(each, RefusalHead)]


def test_a_receipt_is_sent_when_the_piece_is_kept() -> None:
    bench = Bench()
    assert bench.piece(0, b"a" * 2000) == []
    assert bench.piece(2000, b"b" * 1000) == []
    receipts = bench.receipts(bench.later())
    assert [(each.start, each.stop) for each in receipts] == [(0, 2000), (2000, 3000)]
    assert bench.counted("pieces") == 2


def test_a_piece_that_the_store_refuses_later_is_refused() -> None:
    bench = Bench(most_bytes=1000)
    assert bench.piece(0, b"a" * 2000) == []
    assert bench.refusals(bench.later()) == [Refusal.FULL]
    assert bench.counted("refused.spool_full") == 1


def test_a_piece_whose_fate_is_not_known_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.store, "write", lambda *_: None)
    assert bench.piece(0, b"a" * 2000) == []
    assert bench.later() == []
    assert bench.counted("dropped.piece") == 1


def test_pieces_on_their_way_are_bounded_for_a_host_and_others_have_room() -> None:
    bench = Bench()
    for at in range(3):
        bench.piece(at * 100, b"x" * 100)
    assert len(bench.work) == 2
    assert bench.counted("dropped.piece") == 1
    bench.later()
    bench.piece(300, bytes(33_000))
    assert bench.work == [], "half of all bytes are for one host"
    bench.piece(300, bytes(3000))
    assert len(bench.work) == 1


def test_a_commit_waits_for_its_input_and_is_answered_then() -> None:
    bench = Bench()
    bench.piece(0, b"a" * 2000)
    [receipt] = bench.receipts(bench.later())
    assert bench.refusals(bench.commit(2000, receipt.proof)) == [Refusal.WORKING]
    answers = bench.later()
    assert {Kind(each[0]) for each in answers} == {Kind.RESPONSE}
    assert bench.seen.events[-1].input == b"a" * 2000


def test_a_commit_of_lost_input_is_refused_once_that_is_known() -> None:
    bench = Bench()
    bench.piece(0, b"a" * 2000)
    [receipt] = bench.receipts(bench.later())
    bench.store.lose(bench.peer.session.identity)
    assert bench.refusals(bench.commit(2000, receipt.proof)) == [Refusal.WORKING]
    assert bench.refusals(bench.later()) == [Refusal.INPUT_LOST]


def test_more_commits_than_may_fetch_are_asked_again() -> None:
    bench = Bench()
    bench.piece(0, b"a" * 2000)
    [receipt] = bench.receipts(bench.later())
    answers = [bench.refusals(bench.commit(2000, receipt.proof)) for _ in range(3)]
    assert answers == [[Refusal.WORKING], [Refusal.WORKING], [Refusal.BUSY]]
    bench.later()
    bench.later()
    assert bench.listener._fetching == 0


def test_a_service_that_must_wait_for_input_is_called_again_when_it_is_there() -> None:
    ready: list[Promise[None]] = []

    def busy(event: Event) -> Reply:
        if not event.early and len(ready) < 2:
            ready.append(Promise())
            raise InputBusy("it is being fetched", ready[-1])
        return Tape().handle(event)

    desk = Desk(Seen(busy))
    desk.greet()
    assert desk.send(desk.peer.restart(desk.peer_bound())) == []
    ready[0].resolve(None)
    assert desk.listener.resolved() == []
    ready[1].resolve(None)
    [burst, *_] = desk.listener.resolved()
    assert Kind(next(iter(burst.datagrams()))[0]) is Kind.RESPONSE


def test_a_service_whose_input_is_never_there_is_not_called_for_ever() -> None:
    done: Promise[None] = Promise()
    done.resolve(None)

    def busy(event: Event) -> Reply:
        if event.early:
            return Tape().handle(event)
        raise InputBusy("never", done)

    desk = Desk(seen := Seen(busy))
    desk.greet()
    assert desk.send(desk.peer.restart(desk.peer_bound())) == []
    [burst] = desk.listener.resolved()
    assert desk.peer.refusal(next(iter(burst.datagrams()))).code is Refusal.BUSY
    assert 2 < len(seen.events) < 20
