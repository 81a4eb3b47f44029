"""Connections to PostgreSQL that break at a chosen statement, before the server gets it or after it has replied."""

from collections.abc import Callable, Sequence

import pytest

from trickleweb.stores.postgresql import driver
from trickleweb.stores.postgresql.address import DatabaseUrl
from trickleweb.stores.postgresql.driver import DatabaseConnection, Row


class Cuts:
    """Counts statements that contain a text; number `at` (from 0) is cut. `done` says whether that happened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.text, self.at, self.after, self.done = "", -1, False, False
        self._count = 0
        self._connect = driver.connect
        monkeypatch.setattr(driver, "connect", self._connected)

    def cut(self, text: str, at: int = 0, *, after: bool) -> None:
        """Arm it."""
        self.text, self.at, self.after, self.done = text, at, after, False
        self._count = 0

    async def fetch(self, inner: DatabaseConnection, query: str, values: Sequence[object]) -> Sequence[Row]:
        """Do a statement, or break."""
        if self.at < 0 or self.text not in query:
            return await inner.fetch(query, *values)
        self._count += 1
        if self._count - 1 != self.at:
            return await inner.fetch(query, *values)
        self.done = True
        if self.after:
            await inner.fetch(query, *values)
        inner.terminate()
        raise ConnectionResetError("cut")

    async def _connected(self, url: DatabaseUrl, *, limit_s: float, statement_s: float) -> DatabaseConnection:
        return _Cut(await self._connect(url, limit_s=limit_s, statement_s=statement_s), self)


class _Cut:
    def __init__(self, inner: DatabaseConnection, cuts: Cuts) -> None:
        self._inner = inner
        self._cuts = cuts

    async def fetch(self, query: str, *args: object) -> Sequence[Row]:
        return await self._cuts.fetch(self._inner, query, args)

    async def execute(self, query: str) -> str:
        return await self._inner.execute(query)

    async def close(self) -> None:
        await self._inner.close()

    def terminate(self) -> None:
        self._inner.terminate()

    def is_closed(self) -> bool:
        return self._inner.is_closed()

    def add_termination_listener(self, callback: Callable[[object], None]) -> None:
        self._inner.add_termination_listener(callback)
