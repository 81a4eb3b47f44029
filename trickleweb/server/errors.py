"""Errors of the HTTP server between its parts, and the one table from an error to what the client is told."""

from __future__ import annotations

from trickles.errors import BadPacket, InputBusy, InputLost
from trickles.service import Refusal, Reply
from trickleweb.errors import LedgerUnavailable, OtherLedger, StateRefused, WebError
from trickleweb.files import ContentNotHere, FilesUnavailable, HashPending


class NotThisResponse(WebError):
    """This replica would make other bytes of that token: another release, or another tree."""


class BadToken(NotThisResponse, BadPacket):
    """Bytes that are no token of this release."""


class Evicted(Exception):
    """Bytes of a stream are asked for that are not kept any more: make them again."""


class StreamFailed(Exception):
    """The program's stream broke off: the ranges that were verified are all there is."""


class StreamBroke(Exception):
    """The program's stream broke off here before it gave what another replica was given."""


class Busy(Exception):
    """Too much is under way: the client asks again, here or elsewhere."""


_REFUSALS: tuple[tuple[type[Exception], Refusal], ...] = (
    (Busy, Refusal.BUSY),
    (HashPending, Refusal.BUSY),
    (LedgerUnavailable, Refusal.BUSY),
    (Evicted, Refusal.BUSY),
    (InputBusy, Refusal.BUSY),
    (InputLost, Refusal.INPUT_LOST),
    (OtherLedger, Refusal.NOT_HERE),
    (ContentNotHere, Refusal.NOT_HERE),
    (FilesUnavailable, Refusal.NOT_HERE),
    (NotThisResponse, Refusal.NOT_HERE),
    (StateRefused, Refusal.NOT_HERE),
    (StreamBroke, Refusal.NOT_HERE),
    (OSError, Refusal.NOT_HERE),
)
_REPORTED = (LedgerUnavailable, OtherLedger)  # faults of the set-up
_OF_THE_PROGRAM = (StreamBroke, StreamFailed)  # their cause is the program's


def refusal_of(error: Exception, *, early: bool = False) -> Reply:
    """The reply to a client whose request met `error`. Early, it cannot be told to ask again, and does so anyway."""
    refusal = next((each for kind, each in _REFUSALS if isinstance(error, kind)), Refusal.GONE)
    return Reply() if early and refusal is Refusal.BUSY else Reply(refusal=refusal)


def reported(error: Exception) -> Exception | None:
    """The error that operators see for one that `refusal_of` answers; None for what is nobody's fault."""
    if isinstance(error, _OF_THE_PROGRAM):
        return error.__cause__ if isinstance(error.__cause__, Exception) else None
    expected = any(isinstance(error, kind) for kind, _ in _REFUSALS)
    return error if isinstance(error, _REPORTED) or not expected else None
