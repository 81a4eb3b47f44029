"""What can go wrong in the HTTP layer, each with who is to blame."""

from __future__ import annotations


class WebError(Exception):
    """Root of every error the HTTP framework raises."""


class HTTPError(WebError):
    """The client gets this status instead of what it asked for.

    `reason` is a short sentence that may be shown to the client; `headers` are (name, value) pairs the status asks for
    (Allow with 405, Retry-After with 503). `close` says that the connection cannot go on after the answer.
    """

    def __init__(
        self, status: int, reason: str = "", *, close: bool = False, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(f"{status} {reason}".rstrip())
        self.status = status
        self.reason = reason
        self.close = close
        self.headers = headers


class UnsafeHeader(WebError, ValueError):
    """A program's own header cannot be sent: it would break the message's framing (RFC 9110 5.5)."""


class StateRefused(WebError):
    """No body of this replica goes on from that state: of another release, or of steps that are no more."""


class OtherLedger(WebError):
    """The work began where another ledger is in use: whether it was done stands there, and this one does not know."""


class LedgerUnavailable(WebError):
    """The ledger cannot be asked now: full, locked for too long, or damaged. Nothing was claimed: 503, ask again."""
