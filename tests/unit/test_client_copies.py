"""Copies of authentic datagrams: each counts once, however often, however late and from wherever it comes again."""

from collections.abc import Iterable

import pytest

from tests.support.authentic import A, AuthenticFleet, B
from tests.support.net import HOME, SPRAY, Net, fleet
from tests.support.toys import File, Patient, Refusing, body
from trickles.client import ClientConfig, Failed, Policy
from trickles.client.requests import InFlight
from trickles.limits import SECOND
from trickles.service import Deferred, Event, Refusal, Reply
from trickles.spool import receipt
from trickles.wire.kinds import Address, Kind, RequestFlag, ResponseFlag
from trickles.wire.response import TransportFrame, UserFrame

CONTENT = body(60_000)

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])


class Echo:
    """Delivers each refusal, and what else is of those kinds, eight times; and all earlier ones again beside it."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds, self.seen = kinds, list[bytes]()

    def __call__(self, datagram: bytes, upward: bool) -> Iterable[bytes]:
        if upward or datagram[0] not in self.kinds:
            return (datagram,)
        self.seen.append(datagram)
        return self.seen[-20:] + 7 * [datagram]


class Sometimes:
    """Refuses some requests, by their count."""

    def __init__(self, reason: Refusal, *numbers: int) -> None:
        self.reason, self.numbers, self.count, self.served = reason, numbers, 0, File(CONTENT)

    def handle(self, event: Event) -> Reply:
        self.count += 1
        return Reply(refusal=self.reason) if self.count in self.numbers else self.served.handle(event)


REFUSED: list[tuple[Refusal, tuple[int, ...]]] = [
    (Refusal.NOT_HERE, (1,))
]  # the hello; those behind it are refused for other reasons too
REFUSED += [
    (reason, at)
    for reason in (Refusal.NOT_HERE, Refusal.EPOCH, Refusal.BUSY, Refusal.ENDING)
    for at in ((2,), (5, 6, 9))
]


@policies
@pytest.mark.parametrize(("reason", "numbers"), REFUSED)
def test_seven_copies_of_a_refusal_change_nothing(
    config: ClientConfig, reason: Refusal, numbers: tuple[int, ...]
) -> None:
    plain, echoed = (
        Net(fleet(Sometimes(reason, *numbers)), config=config, **tampered)  # type: ignore[arg-type]
        for tampered in ({}, {"tamper": Echo(Kind.REFUSAL)})
    )
    assert plain.run() == echoed.run() == CONTENT
    assert (echoed.now, echoed.outcome) == (plain.now, "end")
    name = f"refused_{reason.name.lower()}"
    assert echoed.client.statistics()[name] == plain.client.statistics()[name] == len(numbers)


class Told(AuthenticFleet):
    """An established client of two replicas whose only request, number 1, is under way."""

    def __init__(self, policy: Policy = Policy.HOME) -> None:
        super().__init__(policy=policy, replicas=[A, B], probe_sizes=(1400,))
        self.sent = self.client.datagrams_to_send(now=2_000)

    def hear(self, datagram: bytes, source: Address = A, now: int = 3_000) -> None:
        self.now = now
        super().hear(datagram, source)

    def restarted(self) -> TransportFrame:
        """The frame that lets the restart begin."""
        claim = self.state.flight.restarting
        assert claim is not None
        return self.transport(claim.start, 10, 100)


def test_a_refusal_of_another_request_with_the_same_low_half_refuses_nothing() -> None:
    told = Told()
    for code in (Refusal.GONE, Refusal.NOT_HERE, Refusal.BUSY, Refusal.WORKING):
        told.hear(told.refusal(code, 0x1_0001, worked_us=5))
    (claim,) = [claim for claim in told.state.requests if claim is told.state.flight.restarting]
    assert (claim.refusals, claim.patience, claim.retry_at) == (0, 0, None)
    assert told.client.next_event() is not None
    assert not any(isinstance(event, Failed) for event in iter(told.client.next_event, None))


def test_a_replica_that_was_not_asked_refuses_nothing() -> None:
    """Anybody can repeat a client's request to another replica, whose word is authentic."""
    told = Told()
    (_, asked), *_ = told.sent
    other = B if asked == A else A
    for code in (Refusal.GONE, Refusal.NOT_HERE, Refusal.BUSY, Refusal.WORKING):
        told.hear(told.refusal(code, 1, worked_us=5), other)
    claim = told.state.flight.restarting
    assert claim is not None
    assert (claim.refusals, claim.patience, claim.retry_at) == (0, 0, None)
    told.hear(told.refusal(Refusal.NOT_HERE, 1), asked)
    assert (claim.refusals, claim.replica) == (1, other)


def test_word_that_work_goes_on_counts_when_it_says_more() -> None:
    told = Told()
    claim = told.state.flight.restarting
    assert claim is not None
    notices = [told.refusal(Refusal.WORKING, 1, worked_us=worked_us) for worked_us in (4_000, 8_000, 500_000)]
    for notice in notices:
        told.hear(notice, now=600_000)
    patience = claim.patience
    assert patience > 600_000
    for late in range(1, 50):
        for notice in notices:
            told.hear(notice, now=600_000 + 100_000 * late)
    assert (claim.patience, told.state.recovery.progress_at) == (patience, 600_000)
    told.hear(told.refusal(Refusal.WORKING, 1, worked_us=1_500_000), now=6_000_000)
    assert claim.patience > 6_000_000


def test_a_copy_of_a_response_tells_nothing_new() -> None:
    told = Told(Policy.STRIPE)
    claim = told.state.flight.restarting
    assert claim is not None
    old = told.response(1, claim.start, b"abc", [told.restarted()], offset=2)
    renewed = told.restarted()
    told.hear(old, now=12_000)
    told.hear(told.response(1, claim.start + 1, b"def", [renewed], offset=5), now=13_000)
    told.state.fleet.silent(A, 13_000)
    before = (
        told.state.recovery.progress_at,
        told.state.flight.transport,
        told.state.flight.renewed_at,
        told.state.recovery.round_trip,
    )
    for now in range(20_000, 3_000_000, 100_000):
        told.hear(old, now=now)
    assert (
        told.state.recovery.progress_at,
        told.state.flight.transport,
        told.state.flight.renewed_at,
        told.state.recovery.round_trip,
    ) == before
    assert told.state.flight.transport == renewed
    assert told.state.fleet.suspect(A, 20_000)


def test_an_old_short_packet_voids_no_later_claim_whose_request_number_came_round() -> None:
    told = Told()
    claim = told.state.flight.restarting
    assert claim is not None
    claim.retry(11_000)
    told.state.requests.sent(claim, 0x5_0000, 11_000)  # its low half is that of the hello
    told.hear(told.response(0x5_0000, 1, offset=2, flags=ResponseFlag.SHORT), now=12_000)
    assert (claim.done, claim.answered, claim.settled) == (False, False, 0)


def test_an_old_answer_stands_for_no_later_conversion_whose_request_number_came_round() -> None:
    told = Told()
    late = InFlight(100, 101, 0, 0, A, 0, flags=RequestFlag.INPUT)
    late.on_sent(0x5_0000, 2_000)
    told.state.output.on_sent(late)
    told.hear(told.response(0, 0, b"hi", [UserFrame(0, None, 4, b"user")]), now=1_000)
    assert told.state.output.conversions[0].salt is None


def test_of_one_ping_one_pong_counts() -> None:
    told = Told()
    pong = told.pong(77, 1400)
    told.hear(pong)
    assert told.client.proven_size[0] == 1200  # nothing was asked
    told.state.path.pings[77] = 1400
    told.hear(pong)
    assert told.client.proven_size[0] == 1400
    told.state.path.on_larger_lost(1200)  # larger ones have stopped to pass
    told.hear(pong)
    assert told.client.proven_size[0] == 1200


def upload() -> tuple[Told, list[bytes]]:
    """A client with four pieces for the spool under way, and their receipts."""
    told = Told()
    claim = told.state.flight.restarting
    assert claim is not None
    told.hear(told.response(1, claim.start, b"a", [told.restarted()], offset=2), now=12_000)
    told.client.write(bytes(4_000))
    pieces = [datagram for datagram, _ in told.client.datagrams_to_send(now=14_000) if datagram[0] == Kind.PIECE]
    assert len(pieces) > 2
    receipts = []
    for datagram in pieces:
        number = int.from_bytes(datagram[129:133], "big")
        (piece,) = [piece for piece in told.state.upload._pieces.values() if piece.number == number]
        proof = receipt(bytes(16), bytes(32), piece.offset, piece.stop)
        receipts.append(told.receipt(number, piece.offset, piece.stop, proof))
    return told, receipts


def test_a_copy_of_a_receipt_is_no_sign_of_life() -> None:
    told, receipts = upload()
    told.hear(receipts[0], now=20_000)
    assert told.state.recovery.progress_at == 20_000
    for now in range(30_000, 200_000, 10_000):
        told.hear(receipts[0], now=now)
    assert told.state.recovery.progress_at == 20_000
    assert told.state.upload.counted < 1_200


def test_a_piece_has_one_refusal_and_from_where_it_went() -> None:
    told, _ = upload()
    (piece, *_) = told.state.upload._pieces.values()
    other = B if piece.replica == A else A
    told.hear(told.refusal(Refusal.NO_SPOOL, piece.number), other, now=20_000)
    assert told.state.upload.active
    told.hear(told.refusal(Refusal.BUSY, piece.number), piece.replica, now=21_000)
    told.hear(told.refusal(Refusal.BUSY, piece.number), piece.replica, now=22_000)
    assert told.state.recovery.progress_at == 21_000
    assert told.state.counters["refused.busy"] == 1


class Early(Patient):
    """Is at work on the hello's input for good, and told so only once."""

    __slots__ = ()

    def handle(self, event: Event) -> Deferred:
        return super().handle(event)


def test_copies_of_early_word_that_work_goes_on_keep_no_hello_waiting() -> None:
    notices: list[bytes] = []

    def hold(datagram: bytes, upward: bool) -> Iterable[bytes]:
        if not upward and datagram[0] == Kind.REFUSAL:
            notices.append(datagram)
        return (datagram,) if upward or len(notices) < 2 else ()

    net = Net(fleet(Early(), 1), config=HOME, tamper=hold)
    net.run(until_us=SECOND)
    assert notices
    before = net.client.next_timeout()
    for now in range(SECOND, 40 * SECOND, SECOND // 2):
        net.client.receive_datagram(notices[0], A, now=now)
        assert net.client.next_timeout() == before


def test_a_hello_that_is_refused_everywhere_still_ends_the_connection() -> None:
    for count in (1, 2, 3):
        net = Net(fleet(Refusing(Refusal.NOT_HERE), count), config=HOME, tamper=Echo(Kind.REFUSAL))
        net.run()
        assert net.outcome == "no replica can continue"
        assert net.client.statistics()["refused_not_here"] == max(2 * count, 8)
