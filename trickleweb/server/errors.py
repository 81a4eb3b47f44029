"""Errors inside the HTTP server, and the table from an error to the refusal that the client gets."""

from __future__ import annotations

from trickles.errors import BadPacket, InputBusy, InputLost
from trickles.service import Refusal, Reply
from trickleweb.errors import LedgerUnavailable, OtherLedger, ResponseStoreError, StateRefused, WebError
from trickleweb.files import ContentNotHere, FilesUnavailable, HashPending


class NotThisResponse(WebError):
    """This replica would make other bytes from that token: another release, or another tree."""


class BadToken(NotThisResponse, BadPacket):
    """Bytes that are no token of this release."""


class Evicted(Exception):
    """Requested bytes of a stream are no longer kept: make them again."""


class StreamFailed(Exception):
    """The application's stream broke off: only verified ranges exist."""


class StreamBroke(Exception):
    """The application's stream broke off before the bytes that another replica has sent."""


class Busy(Exception):
    """Too much work in progress: the client asks again, here or elsewhere."""


class Ending(Exception):
    """This replica runs no further requests now, as it ends for instance: the client asks another one."""


_REFUSALS: tuple[tuple[type[Exception], Refusal], ...] = (
    (Busy, Refusal.BUSY),
    (Ending, Refusal.ENDING),
    (HashPending, Refusal.BUSY),
    (LedgerUnavailable, Refusal.BUSY),
    (ResponseStoreError, Refusal.BUSY),
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
_REPORTED = (LedgerUnavailable, OtherLedger, ResponseStoreError)  # faults of the configuration
_STREAM_ERRORS = (StreamBroke, StreamFailed)  # caused by the application


def refusal_of(error: Exception, *, early: bool = False) -> Reply:
    """Return the reply to a client whose request met `error`. An early one cannot carry BUSY or ENDING; the client asks
    again anyway.
    """
    refusal = next((each for kind, each in _REFUSALS if isinstance(error, kind)), Refusal.GONE)
    return Reply() if early and refusal in (Refusal.BUSY, Refusal.ENDING) else Reply(refusal=refusal)


def reported(error: Exception) -> Exception | None:
    """Return the error that operators see for one that `refusal_of` answers; None if it is no fault."""
    if isinstance(error, _STREAM_ERRORS):
        return error.__cause__ if isinstance(error.__cause__, Exception) else None
    expected = any(isinstance(error, kind) for kind, _ in _REFUSALS)
    return error if isinstance(error, _REPORTED) or not expected else None
