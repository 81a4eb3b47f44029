"""The ledger: what makes an unsafe request happen at most once, whichever replicas its packets reach.

Whoever is the first to `claim` a key does the work and then `complete`s it with the plan of its response; all others
are told where the matter stands. There is no third way: a replica that dies between the two has perhaps done the work
and perhaps not, nobody can know, and so nobody does it again. The next to claim the key is told that it is `Lost`, says
so to the client (a 5xx that calls the outcome unknown), and completes the key with that response, which all give
from then on. What is worth more than that joins the handler's own transaction by `request.idempotency_key`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from trickleweb.errors import LedgerUnavailable, OtherLedger

__all__ = [
    "Claim",
    "Done",
    "Ledger",
    "LedgerUnavailable",
    "Lost",
    "New",
    "OtherLedger",
    "Pending",
    "ledger_key",
    "request_key",
]


@dataclass(frozen=True, slots=True)
class New:
    """Yours alone: do it, then `complete`; or `release` if it was not begun."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody alive is doing it: ask again soon."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Whoever was doing it is dead: it has happened, or a part of it, or nothing. It must not be done again."""


@dataclass(frozen=True, slots=True)
class Done:
    """It was done; `plan` is what `complete` was told first."""

    plan: bytes


Claim = New | Pending | Lost | Done


class Ledger(Protocol):
    """Keys that are claimed once. Times are microseconds since 1970; any method may raise `LedgerUnavailable`.

    `trickleweb.stores.SqliteLedger` is for the replicas of one machine.
    """

    @property
    def store_id(self) -> bytes:
        """32 bytes that are the same for all who share this ledger's rows, and for nobody else (`trickles.stores`)."""

    def claim(self, key: bytes, *, now: int) -> Claim:
        """Where the matter of `key` stands; `New` to exactly one caller."""

    def adopt(self, key: bytes, *, now: int) -> Claim:
        """Take over what is `Lost`, for work that may be done twice: `New` to exactly one caller, else as `claim`."""

    def find(self, key: bytes) -> Done | None:
        """What `complete` was told, without a claim; None if that did not happen."""

    def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        """Keep the response plan of a claimed key and give back the one that counts: the first that was told."""

    def release(self, key: bytes) -> None:
        """Give back one's own claim on what was not begun: the next to claim it does it."""

    def expire(self, *, before: int) -> int:
        """Forget what was claimed and completed before then, and tell how much; no client may ask for it any more."""


def ledger_key(purpose: str, *parts: bytes) -> bytes:
    """A 32-byte key for some parts, each counted with its length; purposes never share one."""
    named = (purpose.encode(), *parts)
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in named)).digest()


def request_key(connection: bytes, input_offset: int) -> bytes:
    """The key of the request whose first byte is at that offset of that connection's input."""
    return ledger_key("request", connection, input_offset.to_bytes(8, "big"))
