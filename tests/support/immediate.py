"""Coroutines that never wait, run to their end by a plain call; and a ledger in memory that is used so."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from trickleweb.ledger import Claim, Done
from trickleweb.stores import MemoryLedger, SharedMemory

T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine; fails if it waits for anything."""
    try:
        work.send(None)
    except StopIteration as over:
        result: T = over.value
        return result
    work.close()
    raise AssertionError("it waits")


class ImmediateLedger:
    """A `MemoryLedger` whose methods are plain calls, as those of a `LedgerFile` are."""

    def __init__(self, shared: SharedMemory | None = None, owner: str = "") -> None:
        self.ledger = MemoryLedger(shared, owner)

    def claim(self, key: bytes, *, now: int) -> Claim:
        return at_once(self.ledger.claim(key, now=now))

    def adopt(self, key: bytes, *, now: int) -> Claim:
        return at_once(self.ledger.adopt(key, now=now))

    def find(self, key: bytes) -> Done | None:
        return at_once(self.ledger.find(key))

    def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        return at_once(self.ledger.complete(key, plan, now=now))

    def release(self, key: bytes) -> None:
        at_once(self.ledger.release(key))

    def expire(self, *, before: int) -> int:
        return at_once(self.ledger.expire(before=before))
