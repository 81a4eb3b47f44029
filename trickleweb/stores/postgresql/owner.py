"""The process as the database sees it: a session lock, which falls when its connection does. No clock is believed."""

from __future__ import annotations

import asyncio
import secrets

from trickleweb.errors import LedgerUnavailable
from trickleweb.stores.postgresql.driver import DatabaseConnection

OWNER_BITS = 62
_TAKE = "SELECT pg_try_advisory_lock($1) AS taken"


class SessionOwner:
    """A lock of a random number, held by a connection that does nothing else."""

    def __init__(self, connection: DatabaseConnection, number: int) -> None:
        self._connection = connection
        self._gone = asyncio.Event()
        self.number = number
        connection.add_termination_listener(lambda _: self._gone.set())

    @classmethod
    async def taken(cls, connection: DatabaseConnection) -> SessionOwner:
        """Take a fresh number on that connection."""
        while True:
            number = secrets.randbits(OWNER_BITS)
            [row] = await connection.fetch(_TAKE, number)
            if row["taken"]:
                return cls(connection, number)

    async def lost(self, *, beat_s: float, limit_s: float) -> None:
        """Return when the connection broke, or no longer replies; look at it at that interval."""
        while not self._gone.is_set():
            try:
                async with asyncio.timeout(beat_s):
                    await self._gone.wait()
            except TimeoutError:
                try:
                    async with asyncio.timeout(limit_s):
                        await self._connection.fetch("SELECT 1")
                except Exception:  # noqa: BLE001 - any failure means the same
                    self.drop()

    def drop(self) -> None:
        """Close the connection at once: the lock falls."""
        self._gone.set()
        self._connection.terminate()

    async def close(self, *, limit_s: float) -> None:
        """Give the lock back before returning, if the server replies in time."""
        try:
            async with asyncio.timeout(limit_s):
                await self._connection.close()
        except Exception:  # noqa: BLE001 - the server does it when it notices
            self._connection.terminate()
        self._gone.set()


def fallen(number: int) -> LedgerUnavailable:
    """Return the error of a call that was not done, since the lock of its owner is not held."""
    return LedgerUnavailable(f"the session lock {number:x} is no longer held: its connection broke")
