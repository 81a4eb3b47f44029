"""Attacks on the proof of receipt: claiming what did not come, hiding what was lost, growing by crumbs."""

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
CRUMBS = tuple((start, start + 1) for start in range(0, 64, 2))  # 32 wants of one byte, none beside another
CRUMB_NUMBERS = 16  # numbers that a request for them speaks for: in slow start it earns twice as many
CRUMB_BYTES = 31_000  # that the crumbs may cost
_ODD = 0x9E37_79B9_7F4A_7C15  # multiples of it are proofs as good as any that is made up


def optimistic_acknowledgement(stage: Stage) -> float:
    """Claim packets that never came, with proofs made up; bytes earned for each byte sent."""
    peer = stage.connect("optimist")
    claimed = peer.top
    with suppress(PurseEmpty):
        for turn in range(1, stage.bounds.rounds + 1):
            lo, claimed = claimed, claimed + CRUMB_NUMBERS
            runs = ((peer.base, claimed, turn * _ODD % (1 << 64)),)
            stage.strike([peer.speak(lo, claimed, runs=runs, wants=wanting(peer))])
    return stage.account.gain


def hidden_loss(stage: Stage) -> float:
    """Never show a loss: fetch what was lost again by repeats, else make its proof up; packets per honest packet."""
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
            peer.transport = kept  # what a restart brings would begin anew, with a small window


def _made_up(stage: Stage, cheat: Downloader) -> None:
    """Claim what could not be fetched with nonces of one's own; where that earns nothing, it was never said."""
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
    """Requests that were, or could have been, granted `number`: in the hope that it comes once more with its nonce.

    At most two, and at times none. Where that number was never granted, the restart begins an episode.
    """
    return [*repeated_claim(peer, number, frame), *repeated_restart(peer, number, frame)]


def repeated_claim(peer: Peer, number: int, frame: TransportFrame) -> Iterator[bytes]:
    """The claim that has `number` for its last, if there is one; shown is what arrived of the episode below."""
    base = frame.episode.base
    runs = peer.nonces.runs(base, number)
    proved, edge = range(base, (runs[-1][1] if runs else base) + 1), _edge(frame, runs)
    at = bisect_right(proved, number + 1, key=edge) - 1
    if at > 0 and edge(proved[at]) == number + 1:
        flags, wants = RequestFlag.PROBE, wanting(peer)
        yield peer.speak(proved[at - 1], proved[at], frame=frame, flags=flags, runs=runs, wants=wants)


def repeated_restart(peer: Peer, number: int, frame: TransportFrame) -> Iterator[bytes]:
    """A restart at `number`; shown is no more proof than allows it."""
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
    """Grow a window by one-byte packets, then claim each number by itself; the next round over an honest peer's.

    Both windows have then cost as many bytes received. A window that crumbs have spoiled is left for an honest one.
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
