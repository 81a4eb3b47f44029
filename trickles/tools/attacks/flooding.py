"""Floods: datagrams with a forged address, hellos, connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from trickles.tools.attacks.stage import HELLO_WANTS_BYTES, VICTIM, Gain, PurseEmpty, Stage, received, restart
from trickles.tools.peer import Peer
from trickles.wire.hello import ASK_BYTES
from trickles.wire.kinds import Kind, ResponseFlag
from trickles.wire.response import HEADER_BYTES, TRANSPORT_FRAME_BYTES
from trickles.wire.transport import BLOB_BYTES, CONNECTION_BYTES

DISTINCT = 64  # different hellos, sent repeatedly: public-key work costs the flooder too
HELLOS = 1000  # at once
BATCH_ROUNDS = 5  # rounds of such a batch
CONNECTIONS = 50  # in a round
PING_BYTES = 1200
_BLOB_AT = HEADER_BYTES + TRANSPORT_FRAME_BYTES - BLOB_BYTES  # in an answer to a hello


def spoofed_source(stage: Stage) -> float:
    """Send from the victim's address; bytes that reach it for each byte sent, by the worst kind of datagram."""
    peer = stage.connect("spoofer")
    strangers = (stage.peer(f"stranger {turn}") for turn in range(stage.bounds.rounds))
    certificate, request = stage.target.certificate, stage.bounds.request
    kinds = [
        [stranger.hello(certificate, request, wanted=1 << 20) for stranger in strangers],
        [bytes((Kind.ASK,)).ljust(ASK_BYTES, b"\0")] * stage.bounds.rounds,
    ]
    if stage.target.victim_elsewhere:  # continuations are bound to a host, whatever the port
        kinds += [[make() for _ in range(stage.bounds.rounds)] for make in _bound_to_the_attacker(peer)]
    accounts = [Gain() for _ in kinds]
    with suppress(PurseEmpty):
        for account, datagrams in zip(accounts, kinds, strict=True):
            account.note(datagrams, stage.strike(datagrams, sender=VICTIM))
    return max(account.gain for account in accounts)


def _bound_to_the_attacker(peer: Peer) -> tuple[Callable[[], bytes], ...]:
    """Return makers of datagrams with a continuation of the attacker's own address."""
    return (
        lambda: peer.speak(peer.base, peer.top),
        lambda: peer.ping(PING_BYTES),
        lambda: peer.piece(0, b"input"),
        peer.ask_at_work,
    )


def hello_flood(stage: Stage) -> float:
    """Send hellos without a cookie; the share of them that cost the replica public-key work."""
    peers = [stage.peer(f"flooder {index}") for index in range(DISTINCT)]
    hellos = [peer.hello(stage.target.certificate) for peer in peers]
    accepted = 0
    with suppress(PurseEmpty):
        for _ in range(0, stage.bounds.rounds, BATCH_ROUNDS):
            batch = [hellos[index % DISTINCT] for index in range(HELLOS)]
            accepted += sum(answer[0] == Kind.RESPONSE for answer in stage.strike(batch))
    return accepted / stage.account.sent if stage.account.sent else 0.0


def connection_flood(stage: Stage) -> float | None:
    """Open connections and abandon them; bytes of memory that each of the later half costs the replica."""
    memory: list[int | None] = []
    opened = 0
    with suppress(PurseEmpty):
        stage.target.memory_bytes()
        for turn in range(stage.bounds.rounds):
            if turn == stage.bounds.rounds // 2:
                memory.append(stage.target.memory_bytes())
                opened = 0
            opened += _open(stage, [stage.peer(f"connection {turn}, {index}") for index in range(CONNECTIONS)])
        memory.append(stage.target.memory_bytes())
    if len(memory) < 2 or memory[0] is None or memory[1] is None or not opened:
        return None
    return max(memory[1] - memory[0], 0) / opened  # less than before: the bounded caches were full


def _open(stage: Stage, peers: Sequence[Peer]) -> int:
    """Take all peers through the handshake and one request; return how many were answered."""
    certificate, request = stage.target.certificate, stage.bounds.request
    hellos = [peer.hello(certificate, request, wanted=HELLO_WANTS_BYTES) for peer in peers]
    named = {peer.session.connection: peer for peer in peers}
    for answer in stage.strike(hellos):
        peer = named.get(connection_of(answer))
        if peer is not None:
            received(peer, [answer])
    open_ones = [peer for peer in peers if peer.transport is not None]
    stage.strike([restart(peer) for peer in open_ones])
    return len(open_ones)


def connection_of(answer: bytes) -> bytes:
    """Return the connection id in an answer to a hello, which its continuation has in clear."""
    if answer[0] != Kind.RESPONSE or not answer[1] & ResponseFlag.TRANSPORT:
        return b""
    return answer[_BLOB_AT:][:CONNECTION_BYTES]
