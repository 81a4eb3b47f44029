"""Datagrams that are made to cost a replica more than they cost their sender, by kind; and honest ones beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from random import Random
from typing import Any

from benchmarks.support.bogus import BOGUS, makings
from benchmarks.support.bogus import datagrams as bogus_datagrams
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.tools.attacks.stage import Stage, received, restart, wanting
from trickles.tools.peer import Peer
from trickles.wire.kinds import Kind, RequestFlag
from trickles.wire.piece import Receipt, commit_body
from trickles.wire.request import OFFSET_BYTES, RequestBody, Run

RUNS, WANTS, SKIP = DEFAULT_LIMITS.max_runs, DEFAULT_LIMITS.max_wants, DEFAULT_LIMITS.max_restart_skip
PIECES = 600  # of an upload whose commits make work
FAR = 1 << 30  # output offsets that nobody asks for otherwise


@dataclass(slots=True)
class Holder:
    """A peer that keeps what makes work: a proof in as many runs as are allowed, and its first continuations."""

    stage: Stage
    peer: Peer
    runs: tuple[Run, ...]
    chance: Random

    @property
    def top(self) -> int:
        """One past the highest number that it can prove."""
        return self.runs[-1][1]

    def spoken(self, lo: int, hi: int, **fields: Any) -> bytes:
        """A request with all of its runs."""
        return self.peer.speak(lo, hi, runs=self.runs, **fields)


def holder(stage: Stage, seed: int = 1) -> Holder:
    """A connection of whose last window every second packet is lost, so that its proof has all the runs it may have."""
    peer = stage.connect("holder")
    spoken = grown(stage, peer, 2 * RUNS)
    kept = range(spoken + 1, spoken + 2 * RUNS - 1, 2)
    runs = (peer.run(peer.base, spoken), *(peer.run(each, each + 1) for each in kept))
    return Holder(stage, peer, runs, Random(seed))


def grown(stage: Stage, peer: Peer, unspoken: int) -> int:
    """Let a download go on until so many numbers were received that no request spoke for; the first of them."""
    spoken = peer.base
    while peer.top - spoken < unspoken:
        request = peer.speak(spoken, peer.top, wants=wanting(peer))
        spoken = peer.top
        received(peer, stage.setting(request))
    return spoken


def _runs(given: Holder, count: int) -> list[bytes]:
    """Each speaks for one more of the numbers that were received above the first hole."""
    spans = pairwise(stop for _, stop, _ in given.runs)
    return [given.spoken(lo, hi, wants=((FAR, FAR + 3_000),)) for lo, hi in spans][:count]


def _runs_and_wants(given: Holder, count: int) -> list[bytes]:
    wants = tuple((FAR + 2_000 * each, FAR + 2_000 * each + 1) for each in range(WANTS))
    spans = pairwise(stop for _, stop, _ in given.runs)
    return [given.spoken(lo, hi, wants=wants) for lo, hi in spans][:count]


def _false_run(given: Holder, count: int) -> list[bytes]:
    first, stop, _ = given.runs[-1]
    return [
        given.peer.speak(first, stop, runs=(*given.runs[:-1], (first, stop, given.chance.getrandbits(64))))
        for _ in range(count)
    ]


def _wants(given: Holder, count: int) -> list[bytes]:
    wants = tuple((FAR + 2_000 * each, FAR + 2_000 * each + 1) for each in range(WANTS))
    at = range(given.peer.base, given.peer.top)
    return [given.peer.speak(each, each + 1, wants=wants) for each in at][-1 - count :]


def _far_apart(given: Holder, count: int) -> list[bytes]:
    """Runs of two episodes under the older continuation, a million numbers between them."""
    peer, old = given.peer, given.peer.frames[-1]
    received(peer, given.stage.setting(peer.restart(peer.bound() + SKIP - 1)))
    runs = (*given.runs[: RUNS - 1], peer.run(peer.top - 1, peer.top))
    return [peer.speak(peer.top - 1, peer.top, frame=old, runs=runs) for _ in range(count)]


def _restarts(given: Holder, count: int, **fields: Any) -> list[bytes]:
    step, top, flags = SKIP // (count + 1), given.top, RequestFlag.RESTART
    return [
        given.spoken(0, given.chance.getrandbits(32), restart_base=top + 200 + step * each, flags=flags, **fields)
        for each in range(count)
    ]


def _large_restarts(given: Holder, count: int) -> list[bytes]:
    return _restarts(given, count, datagram_bytes=9_000)


def _repeated_restart(given: Holder, count: int) -> list[bytes]:
    base, flags = given.top + 200, RequestFlag.RESTART
    given.stage.setting(given.spoken(0, 0, restart_base=base, flags=flags))
    return [given.spoken(0, 0, restart_base=base, flags=flags | RequestFlag.PROBE) for _ in range(count)]


def _false_user(given: Holder, count: int) -> list[bytes]:
    peer, at = given.peer, given.peer.base
    assert peer.user is not None
    return [
        peer.speak(at + each, at + each + 1, user=peer.user.blob[:-9] + given.chance.randbytes(9), wants=((0, 1),))
        for each in range(count)
    ]


def _old_continuations(given: Holder, count: int) -> list[bytes]:
    """Many continuations of one connection, none of which the replica has open."""
    peer, made = given.peer, []
    for _ in range(count):
        received(peer, given.stage.setting(restart(peer)))
    for frame in list(peer.frames)[-count:]:
        made.append(peer.speak(frame.episode.base, frame.episode.base, frame=frame))
    return made


def _pieces(given: Holder, count: int) -> list[bytes]:
    return [given.peer.piece(900 * each, given.chance.randbytes(900)) for each in range(count)]


def _small_pieces(given: Holder, count: int) -> list[bytes]:
    return [given.peer.piece(2 * each, b"1") for each in range(count)]


def _uploaded(given: Holder, offsets: range, size: int) -> int:
    """Lay pieces of that size into the spool; the proof of them all."""
    proof = 0
    for offset in offsets:
        for reply in received(given.peer, given.stage.setting(given.peer.piece(offset, bytes(size)))):
            proof ^= reply.proof if isinstance(reply, Receipt) else 0
    return proof


def _commits(given: Holder, count: int, stretches: Sequence[tuple[int, int, int, int]]) -> list[bytes]:
    """Commits of stretches (origin, start, stop, proof) in turn."""
    peer, flags, made = given.peer, RequestFlag.INPUT | RequestFlag.COMMIT, []
    for number, (origin, start, stop, proof) in zip(range(peer.base, peer.top), cycle(stretches), strict=False):
        body = commit_body(origin, stop, proof)
        made.append(peer.speak(number, number + 1, flags=flags, input_offset=start, input=body))
    return made[-count:]


def _commits_far_apart(given: Holder, count: int) -> list[bytes]:
    """Of an upload's many pieces, and of one piece far from them, in turn."""
    stop = 256 * PIECES
    far = stop + (1 << 20)
    whole, single = _uploaded(given, range(0, stop, 256), 256), _uploaded(given, range(far, far + 1), 256)
    return _commits(given, count, ((0, 0, stop, whole), (far, far, far + 256, single)))


def _commits_of_bytes(given: Holder, count: int) -> list[bytes]:
    """Of pieces of one byte each, from another one on each time."""
    proof = _uploaded(given, range(PIECES), 1)
    return _commits(given, count, [(0, start, PIECES, proof) for start in range(2 * count)])


def _commits_in_turn(given: Holder, count: int, size: int, pieces: int) -> list[bytes]:
    """Of many connections, of none of which the beginning is still known."""
    made = []
    for number in range(count):
        other = Holder(given.stage, given.stage.connect(f"holder {number}"), (), given.chance)
        grown(given.stage, other.peer, 2)
        stop = size * pieces
        proof = _uploaded(other, range(0, stop, size), size)
        made += _commits(other, 1, [(0, 0, stop, proof)])
    return made


def _commits_of_small_pieces_in_turn(given: Holder, count: int) -> list[bytes]:
    return _commits_in_turn(given, count, 900, 16)


def _commits_of_large_pieces_in_turn(given: Holder, count: int) -> list[bytes]:
    return _commits_in_turn(given, count, 60_000, 3)


def _pings(given: Holder, count: int) -> list[bytes]:
    return [given.peer.ping(200) for _ in range(count)]


def _aged(given: Holder, count: int) -> list[bytes]:
    given.stage.pause(DEFAULT_LIMITS.continuation_life + SECOND)
    return [given.spoken(given.top - 1, given.top) for _ in range(count)]


Make = Callable[[Holder, int], list[bytes]]
MADE: dict[str, Make] = {
    "32 runs": _runs,
    "32 runs, 32 wants": _runs_and_wants,
    "32 runs, the last false": _false_run,
    "32 wants": _wants,
    "runs far apart": _far_apart,
    "restart far ahead": _restarts,
    "restart, false proof of size": _large_restarts,
    "repeated restart": _repeated_restart,
    "false user continuation": _false_user,
    "old continuations": _old_continuations,
    "piece": _pieces,
    "small piece": _small_pieces,
    "commits far apart": _commits_far_apart,
    "commits of single bytes": _commits_of_bytes,
    "commits of many connections": _commits_of_small_pieces_in_turn,
    "commits of many connections, large pieces": _commits_of_large_pieces_in_turn,
    "small ping": _pings,
    "aged continuation": _aged,
}
KINDS = (*BOGUS, *MADE)


def costly(kind: str, stage: Stage, count: int) -> Sequence[bytes]:
    """At most so many datagrams of that kind, for the stage's target as it then is."""
    if kind in MADE:
        return MADE[kind](holder(stage), count)
    given = makings(stage)
    made = bogus_datagrams(kind, given, count)
    return (made * count)[:count]  # a replay is one datagram, again and again


def honest(stage: Stage, size: int, count: int) -> list[bytes]:
    """Requests as a download sends them, each speaking for two packets, brought to that size by input."""
    peer = stage.connect("honest")
    spoken = grown(stage, peer, 2 * count)
    return [_sized(peer, spoken + 2 * each, size) for each in range(count)]


def _sized(peer: Peer, at: int, size: int) -> bytes:
    body: RequestBody = peer.spoken(at, at + 2, wants=((FAR, FAR + 3_000),))
    short = size - len(peer.request(body))
    if short > OFFSET_BYTES:
        body = body._replace(flags=body.flags | RequestFlag.INPUT, input=bytes(short - OFFSET_BYTES))
    return peer.request(body, kind=Kind.REQUEST)
