"""A ledger in memory: for tests, for one process, and as the simple model of every ledger."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from threading import Lock

from trickles.stores import STORE_ID_BYTES
from trickleweb.ledger import Claim, Done, Lost, New, Pending


@dataclass(slots=True)
class SharedMemory:
    """State shared by the virtual replicas of one process: rows of owner, plan and time, and the dead owners."""

    rows: dict[bytes, tuple[str, bytes | None, int]] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)
    store_id: bytes = field(default_factory=lambda: secrets.token_bytes(STORE_ID_BYTES))


class MemoryLedger:
    """One virtual replica's view of a shared memory; thread-safe."""

    def __init__(self, shared: SharedMemory | None = None, owner: str = "") -> None:
        self._shared = shared or SharedMemory()
        self.owner = owner

    @property
    def store_id(self) -> bytes:
        return self._shared.store_id

    def look(self) -> None:
        """Do nothing: memory stays."""

    async def close(self) -> None:
        """Let claims be lost that are not completed."""
        self._shared.dead.add(self.owner)

    async def claim(self, key: bytes, *, now: int) -> Claim:
        with self._shared.lock:
            return self._claim(key, now)

    async def adopt(self, key: bytes, *, now: int) -> Claim:
        with self._shared.lock:
            standing = self._claim(key, now)
            if isinstance(standing, Lost):
                self._shared.rows[key] = (self.owner, None, now)
                return New()
            return standing

    async def find(self, key: bytes) -> Done | None:
        row = self._shared.rows.get(key)
        return Done(row[1]) if row is not None and row[1] is not None else None

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        with self._shared.lock:
            row = self._shared.rows.get(key)
            if row is not None and row[1] is not None:
                return row[1]
            self._shared.rows[key] = (self.owner, plan, now)
            return plan

    async def release(self, key: bytes) -> None:
        with self._shared.lock:
            row = self._shared.rows.get(key)
            if row is not None and row[:2] == (self.owner, None):
                del self._shared.rows[key]

    async def expire(self, *, before: int) -> int:
        with self._shared.lock:
            old = [key for key, row in self._shared.rows.items() if row[2] < before]
            for key in old:
                del self._shared.rows[key]
            return len(old)

    def _claim(self, key: bytes, now: int) -> Claim:
        row = self._shared.rows.get(key)
        if row is None:
            self._shared.rows[key] = (self.owner, None, now)
            return New()
        owner, plan, _ = row
        if plan is not None:
            return Done(plan)
        return Lost() if owner in self._shared.dead else Pending()
