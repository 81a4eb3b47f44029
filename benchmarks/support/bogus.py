"""Datagrams that are worth nothing, by kind: what floods are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from trickles.tools.attacks.stage import Stage, wanting
from trickles.tools.peer import Peer
from trickles.wire.hello import ASK_BYTES, COOKIE_BYTES, HELLO_HEADER_BYTES
from trickles.wire.kinds import Kind, RequestFlag
from trickles.wire.request import HEADER_BYTES, MIN_REQUEST_BYTES
from trickles.wire.transport import BLOB_BYTES

DATAGRAM_BYTES = 1200
DISTINCT = 512  # of each kind; those that only count once are made in full number


@dataclass(slots=True)
class Makings:
    """What bogus datagrams are made from: two connections of one fleet, and chance."""

    stage: Stage
    peer: Peer
    other: Peer
    chance: Random

    def request(self) -> bytes:
        """A request that is right in all but what one does to it."""
        return self.peer.speak(self.peer.base, self.peer.top, wants=wanting(self.peer))


def makings(stage: Stage, seed: int = 1) -> Makings:
    """Two connections whose addresses are proved."""
    return Makings(stage, stage.connect("flooder"), stage.connect("flooder's other"), Random(seed))


def _random(given: Makings) -> bytes:
    return given.chance.randbytes(DATAGRAM_BYTES)


def _random_request(given: Makings) -> bytes:
    return bytes((Kind.REQUEST,)) + given.chance.randbytes(MIN_REQUEST_BYTES)


def _truncated(given: Makings) -> bytes:
    whole = given.request()
    return whole[: given.chance.randrange(1, len(whole))]


def _forged_continuation(given: Makings) -> bytes:
    whole = bytearray(given.request())
    whole[given.chance.randrange(13, 1 + BLOB_BYTES)] ^= 1 << given.chance.randrange(8)  # behind connection and epoch
    return bytes(whole)


def _unknown_epoch(given: Makings) -> bytes:
    whole = bytearray(given.request())
    whole[9:13] = given.chance.randbytes(4)
    return bytes(whole)


def _foreign_continuation(given: Makings) -> bytes:
    body = given.peer.spoken(given.peer.base, given.peer.top)
    return given.peer.request(body, blob=given.other.blob)


def _forged_tag(given: Makings) -> bytes:
    whole = given.request()
    return whole[:-16] + given.chance.randbytes(16)


def _false_proof(given: Makings) -> bytes:
    peer = given.peer
    runs = ((peer.base, peer.top, given.chance.getrandbits(64)),)
    return peer.speak(peer.base, peer.top, runs=runs, wants=wanting(peer))


def _repeat(given: Makings) -> bytes:
    """Numbers that were claimed: a probe, under a request number of its own."""
    peer = given.peer
    return peer.speak(peer.base, peer.top, flags=RequestFlag.PROBE, wants=wanting(peer))


def _bogus_hello(given: Makings) -> bytes:
    hello = given.stage.peer("hello").hello(given.stage.target.certificate)
    return hello[:HELLO_HEADER_BYTES] + given.chance.randbytes(len(hello) - HELLO_HEADER_BYTES)


def _false_cookie(given: Makings) -> bytes:
    hello = _bogus_hello(given)
    at = HELLO_HEADER_BYTES - COOKIE_BYTES
    return hello[:at] + given.chance.randbytes(COOKIE_BYTES) + hello[HELLO_HEADER_BYTES:]


def _hello(given: Makings) -> bytes:
    name = f"hello {given.chance.getrandbits(64)}"
    return given.stage.peer(name).hello(given.stage.target.certificate, given.stage.bounds.request, wanted=1 << 20)


def _ask(given: Makings) -> bytes:  # noqa: ARG001
    return bytes((Kind.ASK,)).ljust(ASK_BYTES, b"\0")


def _ping(given: Makings) -> bytes:
    return given.peer.ping(DATAGRAM_BYTES)


def _bogus_ping(given: Makings) -> bytes:
    whole = given.peer.ping(DATAGRAM_BYTES)
    return whole[:HEADER_BYTES] + given.chance.randbytes(DATAGRAM_BYTES - HEADER_BYTES)


def _bogus_piece(given: Makings) -> bytes:
    whole = given.peer.piece(0, bytes(1000))
    return whole[:HEADER_BYTES] + given.chance.randbytes(len(whole) - HEADER_BYTES)


def _false_commit(given: Makings) -> bytes:
    peer = given.peer
    flags = RequestFlag.INPUT | RequestFlag.COMMIT
    return peer.speak(peer.top, peer.top, flags=flags, input=given.chance.randbytes(24))


Make = Callable[[Makings], bytes]
BOGUS: dict[str, Make] = {
    "random bytes": _random,
    "random request": _random_request,
    "truncated request": _truncated,
    "forged continuation": _forged_continuation,
    "unknown epoch": _unknown_epoch,
    "foreign continuation": _foreign_continuation,
    "forged tag": _forged_tag,
    "false proof": _false_proof,
    "replayed request": Makings.request,
    "repeated claim": _repeat,
    "bogus hello": _bogus_hello,
    "bogus hello, false cookie": _false_cookie,
    "hello": _hello,
    "ask": _ask,
    "ping": _ping,
    "bogus ping": _bogus_ping,
    "bogus piece": _bogus_piece,
    "false commit": _false_commit,
}
ONCE = frozenset({"ping", "repeated claim", "false proof", "false commit"})  # the replay filter stops a second one


def datagrams(kind: str, given: Makings, count: int) -> list[bytes]:
    """As many of that kind as a flood of `count` is made of; sent in turn, they are all of it."""
    make = BOGUS[kind]
    if kind == "replayed request":
        whole = given.request()
        given.stage.setting(whole)
        return [whole]
    return [make(given) for _ in range(count if kind in ONCE else min(count, DISTINCT))]
