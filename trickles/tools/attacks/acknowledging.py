"""Attacks on the proof of receipt: invented proofs, hidden losses, windows grown by tiny packets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress

from trickles.limits import MILLISECOND
from trickles.tools.attacks.downloading import MOST_NUMBERS, Downloader
from trickles.tools.attacks.stage import PurseEmpty, Stage, wanting
from trickles.tools.peer import Peer
from trickles.trickle import course
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import Run
from trickles.wire.response import TransportFrame

LOSE_EVERY = 40  # arriving packets: 2.5 %
PROBE_PAUSE = 6 * MILLISECOND  # a replica answers a repeat every 5 ms
CRUMBS = tuple((start, start + 1) for start in range(0, 64, 2))  # 32 wants of one byte, none adjacent
CRUMB_NUMBERS = 16  # numbers acknowledged by a request for them: in slow start it earns twice as many
CRUMB_BYTES = 31_000  # received for them at most
_ODD = 0x9E37_79B9_7F4A_7C15  # multiples of it are made-up proofs


def optimistic_acknowledgement(stage: Stage) -> float:
    """Claim packets that never came, with made-up proofs; bytes earned for each byte sent."""
    peer = stage.connect("optimist")
    claimed = peer.top
    with suppress(PurseEmpty):
        for turn in range(1, stage.bounds.rounds + 1):
            lo, claimed = claimed, claimed + CRUMB_NUMBERS
            runs = ((peer.base, claimed, turn * _ODD % (1 << 64)),)
            stage.strike([peer.speak(lo, claimed, runs=runs, wants=wanting(peer))])
    return stage.account.gain


def hidden_loss(stage: Stage) -> float:
    """Hide losses: fetch lost packets by repeats, else make up their proof; packets per packet of an honest client."""
    honest = Downloader(stage.connect("honest"), LOSE_EVERY)
    cheat = Downloader(stage.connect("hider"), LOSE_EVERY)
    with suppress(PurseEmpty):
        for _ in range(stage.bounds.rounds):
            honest.round(stage)
            for number, frame in cheat.lost:
                _fetch(stage, cheat, number, frame)
            _made_up(stage, cheat)
            cheat.lost.clear()
            cheat.round(stage)
    return cheat.arrived / honest.arrived


def _fetch(stage: Stage, cheat: Downloader, number: int, frame: TransportFrame) -> None:
    peer, kept = cheat.peer, cheat.peer.transport
    for request in repeats(peer, number, frame):
        if number not in peer.nonces:
            stage.pause(PROBE_PAUSE)
            cheat.take(stage.strike([request]))
            peer.transport = kept  # a restart's continuation would have a small window


def _made_up(stage: Stage, cheat: Downloader) -> None:
    """Claim missing packets with made-up nonces; take them back where that earns nothing."""
    peer = cheat.peer
    missing = [number for number, _ in cheat.lost if peer.nonces.add(number, _ODD)]
    spoken, request = cheat.spoken, cheat.request(MOST_NUMBERS) if missing else None
    answers = stage.strike([request]) if request else []
    if not answers:
        cheat.spoken = spoken
        for number in missing:
            del peer.nonces[number]
    cheat.take(answers)


def repeats(peer: Peer, number: int, frame: TransportFrame) -> list[bytes]:
    """Return requests that were or could have been granted `number`, to get it again with its nonce.

    There are at most two. Where that number was never granted, the restart begins an episode.
    """
    return [*repeated_claim(peer, number, frame), *repeated_restart(peer, number, frame)]


def repeated_claim(peer: Peer, number: int, frame: TransportFrame) -> Iterator[bytes]:
    """Yield the claim whose last number is `number`, if there is one, with the proof of all below."""
    base = frame.episode.base
    runs = peer.nonces.runs(base, number)
    proved, edge = range(base, (runs[-1][1] if runs else base) + 1), _edge(frame, runs)
    at = bisect_right(proved, number + 1, key=edge) - 1
    if at > 0 and edge(proved[at]) == number + 1:
        flags, wants = RequestFlag.PROBE, wanting(peer)
        yield peer.speak(proved[at - 1], proved[at], frame=frame, flags=flags, runs=runs, wants=wants)


def repeated_restart(peer: Peer, number: int, frame: TransportFrame) -> Iterator[bytes]:
    """Yield a restart at `number`, with no more proof than allows it."""
    base = frame.episode.base
    runs = peer.nonces.runs(base, number)
    proved = range(base, (runs[-1][1] if runs else base) + 1)
    at = bisect_right(proved, number, key=_edge(frame, runs)) - 1
    if at >= 0:
        shorter = peer.nonces.runs(base, proved[at])
        if _edge(frame, shorter)(shorter[-1][1] if shorter else base) <= number:
            flags, wants = RequestFlag.PROBE, wanting(peer)
            yield peer.restart(number, flags=flags, frame=frame, runs=shorter, wants=wants)


def _edge(frame: TransportFrame, runs: tuple[Run, ...]) -> Callable[[int], int]:
    return course(frame.episode, [(start, stop) for start, stop, _ in runs]).edge


def splitting(stage: Stage) -> float:
    """Grow a window by one-byte packets, then claim each number by itself; the next round over an honest client's.

    Both windows have then cost as many received bytes. A window spoilt by tiny packets is replaced by an honest one.
    """
    cheat, honest = Downloader(stage.connect("splitter")), Downloader(stage.connect("whole"))
    earned = plain = 0
    with suppress(PurseEmpty):
        for _ in range(stage.bounds.rounds):
            request = cheat.request(CRUMB_NUMBERS, wants=CRUMBS)
            if request is None or cheat.arrived_bytes >= CRUMB_BYTES:
                break
            cheat.take(stage.strike([request]))
        _grow(stage, honest, max(cheat.arrived_bytes, CRUMB_BYTES))
        if len(cheat.unspoken) <= len(honest.unspoken):
            cheat = Downloader(stage.connect("splitter again"))
            _grow(stage, cheat, honest.arrived_bytes)
        peer, wants, rest = cheat.peer, wanting(cheat.peer), cheat.unspoken
        pieces = [peer.speak(number, number + 1, wants=wants) for number in rest]
        earned = sum(map(len, stage.strike([*pieces, peer.speak(rest.start, rest.stop, wants=wants)])))
        last = honest.request()
        plain = sum(map(len, stage.ask([last]))) if last else 0
    return earned / max(plain, 1)


def _grow(stage: Stage, download: Downloader, size_bytes: int) -> None:
    while download.arrived_bytes < size_bytes:
        download.round(stage)
