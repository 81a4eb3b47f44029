"""Datagrams mutated from a corpus, the same ones in every run: parsers, listener and client raise nothing they may not.

`python -m tests.fuzz.test_datagrams SEED ROUNDS [TARGET]` goes on by hand from another seed; what breaks is written to
`tests/fuzz/corpus/TARGET/`, and with it every later run begins.
"""

import sys
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.desk import CONTENT, Desk
from tests.support.fleetkeys import epoch
from tests.support.inside import parts
from tests.support.mutation import mutants
from tests.support.net import HOME, Net, fleet
from tests.support.toys import File, Tape
from trickles.client import Client
from trickles.errors import BadPacket
from trickles.limits import SECOND
from trickles.wire.awaiting import LEAVES, await_body, parse_await_untrusted, parse_awaited_untrusted
from trickles.wire.hello import parse_certificate_untrusted, parse_hello_untrusted, parse_inside_untrusted
from trickles.wire.kinds import Kind, Suite
from trickles.wire.piece import parse_commit_untrusted, parse_piece_untrusted, parse_receipt_untrusted
from trickles.wire.refusal import parse_refusal_untrusted
from trickles.wire.request import parse_body_untrusted, split_untrusted
from trickles.wire.response import FRAME_FLAGS, HEADER_BYTES, parse_frames_untrusted
from trickles.wire.transport import decode_untrusted

CORPUS = Path(__file__).parent / "corpus"
ROUNDS = 3000
REPLICA = ("10.0.0.1", 443)
PARSERS: tuple[Callable[[bytes], object], ...] = (
    parse_body_untrusted,
    split_untrusted,
    parse_refusal_untrusted,
    lambda data: parse_hello_untrusted(data, 0),
    parse_inside_untrusted,
    parse_certificate_untrusted,
    parse_piece_untrusted,
    parse_commit_untrusted,
    parse_receipt_untrusted,
    parse_await_untrusted,
    parse_awaited_untrusted,
    decode_untrusted,
    lambda data: parse_frames_untrusted(data, data[1] if len(data) > 1 else 3),
)


def upward(suite: Suite) -> tuple[Desk, list[bytes]]:
    """A desk with an established peer, and one datagram of every kind that a client sends."""
    desk = Desk(Tape(), suite=suite)
    desk.connect()
    peer = desk.peer
    return desk, [
        peer.hello(epoch(), b"GET\n", wanted=3600),
        bytes([Kind.ASK]).ljust(200, b"\0"),
        peer.speak(9, 12),
        peer.speak(9, 12, flags=8, input=b"POST\n", input_offset=4),
        peer.restart(desk.peer_bound(), flags=2),
        peer.restart(desk.peer_bound(), flags=6),
        peer.seal(bytes(100), kind=Kind.PING),
        peer.seal(bytes(100), kind=Kind.PIECE),
        peer.seal(await_body([1, 2]), kind=Kind.AWAIT),
        peer.seal(await_body([1], others=[(b"12345678", 2)] * 30), kind=Kind.AWAIT),
        peer.seal(await_body([], LEAVES), kind=Kind.AWAIT),
    ]


def downward(suite: Suite) -> list[bytes]:
    """One datagram of every kind that a server sends; they answer other clients."""
    desk = Desk(File(CONTENT), suite=suite)
    hello = desk.send(desk.peer.hello(epoch(), b"GET\n", wanted=3600))
    desk.peer.read(hello)
    desk.now += SECOND
    said = [hello[0], *desk.send(desk.peer.restart(desk.peer_bound()))[2:4]]
    said += desk.send(desk.peer.seal(bytes(100), kind=Kind.PING))
    said += desk.send(desk.peer.speak(0, 3), ("203.0.113.1", 1)) + desk.send(bytes([Kind.ASK]).ljust(200, b"\0"))
    return [*said, bytes([Kind.COOKIE]) + bytes(24), bytes([Kind.RECEIPT]) + bytes(55), b"\x17\x04" + bytes(30)]


def folder(target: str) -> Path:
    """Where what broke that target is kept; what breaks it in one suite is tried in both."""
    return CORPUS / "-".join(word for word in target.split() if word not in ("sealed", "open"))


def stored(target: str) -> list[bytes]:
    """What broke something once."""
    return [path.read_bytes() for path in sorted(folder(target).glob("*"))]


def try_parsers(data: bytes) -> None:
    for parse in PARSERS:
        try:
            parse(data)
        except BadPacket:
            continue


class ToListener:
    """Datagrams, or bodies that are sealed on the way, to a listener that serves anything."""

    def __init__(self, suite: Suite, *, authentic: bool) -> None:
        self.desk, self.seeds = upward(suite)
        self.authentic, self.said = authentic, 0
        if authentic:
            self.seeds = [self.body(datagram) for datagram in self.seeds[2:]]

    def body(self, datagram: bytes) -> bytes:
        header = datagram[:133]
        return datagram[:1] + self.desk.peer.session.open_request_untrusted(header, datagram)

    def __call__(self, data: bytes) -> None:
        if self.authentic:
            kind = Kind(data[0]) if data and data[0] in tuple(Kind) else Kind.REQUEST
            data = self.desk.peer.seal(data[1:].ljust(51, b"\0"), kind=kind)
        self.said += 1
        if self.said % 5 == 0:
            self.desk.listener.drop_caches()  # or every claim would soon have been made
        answers = self.desk.send(data)
        total = sum(map(len, answers))
        assert total <= (300_000 if self.authentic or data[:1] == bytes([Kind.REQUEST]) else 3 * len(data))
        self.desk.now += 7_000


class ToClient:
    """Datagrams, or what a server's keys seal on the way, to a client in the middle of a download."""

    def __init__(self, suite: Suite, *, authentic: bool) -> None:
        self.suite, self.authentic = suite, authentic
        self.seeds = downward(suite)
        self.client, self.now, self.said = begun(), 20_000, 0

    def __call__(self, data: bytes) -> None:
        if self.said % 50 == 0 or self.client.next_timeout() is None:
            self.client, self.now = begun(), 20_000
        self.said += 1
        if self.authentic:
            data = self.sealed(data)
        self.client.receive_datagram(data, REPLICA, now=self.now)
        self.client.receive_burst(data + data, max(len(data), 1), REPLICA, now=self.now)
        while self.client.next_event() is not None:
            pass
        self.now += 3_000
        self.client.handle_timeout(now=self.now)
        for datagram, replica in self.client.datagrams_to_send(now=self.now):
            assert len(datagram) <= 1200
            assert replica == REPLICA

    def sealed(self, data: bytes) -> bytes:
        session, clear = parts(self.client).session, data.ljust(HEADER_BYTES, b"\0")
        # The number stays near: that far ones are believed is known.
        clear = clear[:12] + bytes(3) + clear[15:]
        if clear[0] in (Kind.REFUSAL, Kind.RECEIPT):
            return clear + session.tag(clear)
        flags = clear[1]
        try:
            at = parse_frames_untrusted(clear, flags).data_at
        except BadPacket:
            at = len(clear)
        return b"".join(map(bytes, session.seal_response(clear[:at], clear[at:], tagged=bool(flags & FRAME_FLAGS))))


def begun() -> Client:
    """A client that has just been established and has asked for more."""
    net = Net(fleet(File(CONTENT), 1), config=HOME)
    net.run(until_us=16_000)
    return net.client


Target = tuple[Callable[[bytes], None], list[bytes]]


def parsers() -> Target:
    bodies = [each[1:] for each in ToListener(Suite.OPEN, authentic=True).seeds]
    return try_parsers, [*bodies, *downward(Suite.OPEN), *upward(Suite.OPEN)[1][:2]]


def engine(make: type[ToListener] | type[ToClient], suite: Suite, authentic: bool) -> Target:
    made = make(suite, authentic=authentic)
    return made, made.seeds


TARGETS: dict[str, Callable[[], Target]] = {"parsers": parsers} | {
    f"{side} {suite.name.lower()}{' authentic' if authentic else ''}": partial(engine, make, suite, authentic)
    for side, make in (("listener", ToListener), ("client", ToClient))
    for suite in Suite
    for authentic in (False, True)
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_no_mutant_raises_what_it_may_not(name: str) -> None:
    target, seeds = TARGETS[name]()
    for data in mutants([*stored(name), *seeds], seed=3, rounds=ROUNDS):
        target(data)


def by_hand(seed: int, rounds: int, only: str) -> None:
    """Go on until everything has been tried or something breaks; what breaks is kept."""
    for name in (each for each in TARGETS if only in each):
        target, seeds = TARGETS[name]()
        for data in mutants([*stored(name), *seeds], seed, rounds):
            try:
                target(data)
            except Exception:
                folder(name).mkdir(parents=True, exist_ok=True)
                (folder(name) / sha256(data).hexdigest()[:12]).write_bytes(data)
                raise
        print(f"{name}: {rounds} mutants of seed {seed} did no harm")


if __name__ == "__main__":
    by_hand(int(sys.argv[1]), int(sys.argv[2]), " ".join(sys.argv[3:]))
