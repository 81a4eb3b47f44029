"""Attacks by questions and goodbyes: on the work of another client, on what a replica gives up, and by reflection.

The attacker reads what its victim sends, and sends from the victim's address; the victim's keys it does not have. The
victim waits for work of the replica, far ahead in the output. A replica that is at work on nothing there has nothing to
lose, and then no gain is measured.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import cycle, islice

from trickles.limits import SECOND
from trickles.tools.attacks.stage import LATE_OUTPUT, VICTIM, PurseEmpty, Stage, received
from trickles.tools.peer import Peer
from trickles.wire.awaiting import LEAVES, MOST_AWAITED, Awaited, await_body, connection_name
from trickles.wire.request import HEADER_BYTES as REQUEST_HEADER_BYTES

CAPTURED = 9  # questions: they renew for longer, one after another, than a replay filter remembers one
RENEW_EVERY = 11 * SECOND  # a replica gives up after 12
COPIES = 5


def false_goodbye(stage: Stage) -> float | None:
    """Say goodbye for clients that are at work again; the share of their requests whose work ends by that."""
    stranger = stage.connect("stranger")
    tried = ended = 0
    with suppress(PurseEmpty):
        for turn in range(stage.bounds.rounds):
            victim = stage.connect(f"victim {turn}")
            old = victim.ask_at_work(flags=LEAVES)
            stage.ask([old])
            request = _worked_on(stage, victim)
            if request is None:
                return None
            captured = victim.ask_at_work(flags=LEAVES)  # it does not arrive
            stage.strike([old] * COPIES + _altered(old) + _of_another(stranger, captured))
            stage.strike([captured, old], sender=VICTIM)
            tried, ended = tried + 1, ended + (not _is_at_work(stage, victim, request))
    return ended / tried if tried else None


def _altered(goodbye: bytes) -> list[bytes]:
    """Return the goodbye with another continuation, number, body or tag."""
    places = (1, REQUEST_HEADER_BYTES - 1, REQUEST_HEADER_BYTES, len(goodbye) - 1)
    return [goodbye[:at] + bytes((goodbye[at] ^ 1,)) + goodbye[at + 1 :] for at in places]


def _of_another(stranger: Peer, captured: bytes) -> list[bytes]:
    """Return a stranger's own goodbye, and one under the head of a captured goodbye."""
    forged = stranger.session.seal_request(captured[:REQUEST_HEADER_BYTES], await_body((), LEAVES))
    return [stranger.ask_at_work(flags=LEAVES), forged]


def revived_work(stage: Stage) -> float | None:
    """Repeat captured questions about the work of a silent client, its own or a neighbour's; renewals for each.

    It is 0 if the work has ended.
    """
    alone = _revived(stage, stage.connect("silent"), None)
    named = _revived(stage, stage.connect("named"), stage.connect("neighbour"))
    return None if alone is None or named is None else max(alone, named)


def _revived(stage: Stage, victim: Peer, neighbour: Peer | None) -> float | None:
    request, rounds = _worked_on(stage, victim), max(stage.bounds.rounds, 2 * CAPTURED)
    if request is None:
        return None
    if neighbour is None:
        captured = [victim.ask_at_work([request]) for _ in range(CAPTURED)]  # they do not arrive
    else:
        others = [(connection_name(victim.session.identity), request)]
        captured = [neighbour.ask_at_work(others=others) for _ in range(CAPTURED)]
    try:
        for question in islice(cycle(captured), rounds):
            stage.strike([question])
            stage.pause(RENEW_EVERY)
        return rounds / CAPTURED if _is_at_work(stage, victim, request) else 0.0
    except PurseEmpty:
        return None


def reflected_questions(stage: Stage) -> float:
    """Repeat questions, and ask from the address of others; bytes earned for each byte sent."""
    peer = stage.connect("asker")
    with suppress(PurseEmpty):
        for _ in range(stage.bounds.rounds):
            question = peer.ask_at_work(range(MOST_AWAITED))
            stage.ask([question])
            stage.strike([question] * COPIES)
            stage.strike([peer.ask_at_work()], sender=VICTIM)
    return stage.account.gain


def _worked_on(stage: Stage, peer: Peer) -> int | None:
    """Send a request; return its number if the replica is at work on it."""
    request = peer.speak(peer.base, peer.top, wants=((LATE_OUTPUT, LATE_OUTPUT + 1),))
    number = peer.number
    stage.ask([request])
    return number if _is_at_work(stage, peer, number) else None


def _is_at_work(stage: Stage, peer: Peer, number: int) -> bool:
    answers = received(peer, stage.ask([peer.ask_at_work([number])]))
    return any(isinstance(each, Awaited) and each.number == peer.number and each.mask for each in answers)
