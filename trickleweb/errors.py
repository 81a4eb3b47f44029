"""Errors of the HTTP layer; the type says whose fault it is."""

from __future__ import annotations


class WebError(Exception):
    """Base of every error of the HTTP framework."""


class HTTPError(WebError):
    """The client gets this status instead of the resource.

    `reason` is a short sentence that may be shown to the client; `headers` are (name, value) pairs that the status
    requires (Allow with 405, Retry-After with 503). `close` ends the connection after the response.
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
    """A program's header would break the message's framing (RFC 9110 5.5)."""


class ClientLeft(WebError):
    """The client left, and the program then ended a streamed response before its end: no fault."""


class StateRefused(WebError):
    """A state from which no body of this replica resumes: of another release, or of unknown steps."""


class OtherLedger(WebError):
    """The work began with another ledger, which alone knows whether it was done."""


class LedgerUnavailable(WebError):
    """The ledger cannot be used now: full, locked for too long, or damaged. Nothing was claimed: 503, retry."""


class LedgerUnwritable(LedgerUnavailable):
    """Nothing can be recorded until someone acts: the disk is full or read-only, the file damaged or not openable."""


class LedgerAway(LedgerUnwritable):
    """This process cannot use the ledger, which others perhaps can; the call changed nothing."""


class PackageMissing(WebError):
    """An optional package is not installed; the text names the extra that brings it."""


class ResponseStoreError(WebError):
    """A response cannot be stored, or a stored one cannot be read."""


class ResponseStoreFull(ResponseStoreError):
    """The share of a response, of a client or of all is used up, or the device is full: 507 before a program runs."""


class ResponseStoreUnavailable(ResponseStoreError):
    """The store cannot be used now: read-only, removed, of another release, or failing."""
