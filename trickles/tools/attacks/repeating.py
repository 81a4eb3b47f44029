"""Attacks by repetition: a captured request, or the continuations of an old window."""

from __future__ import annotations

from contextlib import suppress

from trickles.limits import MILLISECOND
from trickles.tools.attacks.downloading import Downloader
from trickles.tools.attacks.stage import PurseEmpty, Stage, received, restart, wanting
from trickles.wire.kinds import RequestFlag

COPIES = 5  # of a datagram in each round
WARM_ROUNDS = 3  # of honest growth before a window is hoarded
APART = 128  # numbers between two restarts: more than a pause keeps of any window


def replay(stage: Stage) -> float:
    """Repeat answered requests, bit by bit the same; bytes earned for each byte sent."""
    peer = stage.connect("replayed")
    first = peer.speak(peer.base, peer.top, wants=wanting(peer))
    received(peer, stage.setting(first))
    second = restart(peer)
    stage.setting(second)
    with suppress(PurseEmpty):
        for _ in range(stage.bounds.rounds):
            stage.strike([first, second] * COPIES)
    return stage.account.gain


def hoarded_window(stage: Stage) -> float:
    """Restart from every held continuation in turn, without new proof; bytes earned for each byte sent."""
    peer = stage.connect("hoarder")
    download = Downloader(peer)
    for _ in range(WARM_ROUNDS):
        download.round(stage)
    received(peer, stage.setting(restart(peer)))  # an honest pause: now two continuations have a large window
    stage.greet(peer)  # a second greeting with the same secret: two unvalidated continuations
    at = peer.top + 2 * APART
    with suppress(PurseEmpty):
        for _ in range(stage.bounds.rounds):
            for frame in peer.frames:
                at += APART
                runs = () if frame.embryo else peer.proof(frame.episode.base)
                flags = RequestFlag.CLEAN
                stage.strike([peer.restart(at, flags=flags, frame=frame, runs=runs, wants=wanting(peer))])
            stage.pause(MILLISECOND)
    return stage.account.gain
