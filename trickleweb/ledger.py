"""The ledger, which makes an unsafe request run at most once, whichever replicas its packets reach.

The first to `claim` a key does the work and then `complete`s it with the plan of its response; all others get the state
of the key. A replica that dies between the two may have done the work or not, which cannot be known, so it is not done
again. The next claim of the key is `Lost`: its owner responds with a 5xx that calls the outcome unknown, and completes
the key with that response, which all give from then on. For more certainty, a handler's own transaction can include
`request.idempotency_key`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from trickleweb.errors import LedgerAway, LedgerUnavailable, LedgerUnwritable, OtherLedger

__all__ = [
    "Claim", "Done", "Ledger", "LedgerAway", "LedgerUnavailable", "LedgerUnwritable", "Lost", "New", "OtherLedger",
    "Pending", "ledger_key", "request_key",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class New:
    """A fresh claim: do the work, then `complete`; or `release` if it was not begun."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A live owner is working on it: ask again soon."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The owner died during the work: all, some or none of it was done. It must not be done again."""


@dataclass(frozen=True, slots=True)
class Done:
    """Completed; `plan` is that of the first `complete`."""

    plan: bytes


Claim = New | Pending | Lost | Done


class Ledger(Protocol):
    """Keys that are claimed once. Times are microseconds since 1970; any method may raise `LedgerUnavailable`.

    Coroutines run on one event loop in each process, any number at a time. One that is cancelled, or that raised, may
    have done its work or not, except for `LedgerUnwritable`: that call changed nothing, and a repeat would not either.

    `complete` never raises `LedgerAway`, as others may call its claim lost meanwhile: its caller tries again.

    `trickleweb.stores.SqliteLedger` is for the replicas of one machine, `trickleweb.stores.postgresql.PostgresLedger`
    for those of many.
    """

    @property
    def store_id(self) -> bytes:
        """32 bytes shared by all users of this ledger's rows, and by no others; empty while none could be opened
        (`trickles.stores`).
        """

    def look(self) -> None:
        """Do what is due, without waiting, about each second: open it again, for instance.

        Raise `LedgerUnavailable` while it cannot be used.
        """

    async def close(self) -> None:
        """End its use: claims of this process that are not completed become lost."""

    async def claim(self, key: bytes, *, now: int) -> Claim:
        """Return the state of `key`, `New` to exactly one caller."""

    async def adopt(self, key: bytes, *, now: int) -> Claim:
        """Claim a `Lost` key again, for work that may be done twice: `New` to exactly one caller, else as `claim`."""

    async def find(self, key: bytes) -> Done | None:
        """Return the completed plan without a claim; None if there is none."""

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        """Store the response plan of a claimed key; return the plan that counts, the first one stored."""

    async def release(self, key: bytes) -> None:
        """Give back one's own claim of work that was not begun, so that the next claim does it."""

    async def expire(self, *, before: int) -> int:
        """Forget keys claimed and completed before that time, return their number; no client may ask for them later."""


_REQUEST = len(b"request").to_bytes(8, "big") + b"request"
_OFFSET = (8).to_bytes(8, "big")  # the length of one


def ledger_key(purpose: str, *parts: bytes) -> bytes:
    """Return a 32-byte key of some parts, each with its length; purposes never share one."""
    named = (purpose.encode(), *parts)
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in named)).digest()


def request_key(connection: bytes, input_offset: int) -> bytes:
    """Return the key of the request whose first byte is at that offset of that connection's input.

    It is `ledger_key("request", connection, offset)`, without a loop: each request needs it.
    """
    size, offset = len(connection).to_bytes(8, "big"), input_offset.to_bytes(8, "big")
    return hashlib.sha256(b"".join((_REQUEST, size, connection, _OFFSET, offset))).digest()
