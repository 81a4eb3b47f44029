"""Connections for statements: each is opened when it is needed, and does one statement at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trickleweb.stores.postgresql import driver
from trickleweb.stores.postgresql.address import DatabaseUrl
from trickleweb.stores.postgresql.driver import DatabaseConnection, Row
from trickleweb.stores.postgresql.limits import PostgresLimits


class Lane:
    """One connection. After an error that is not the server's answer, it is closed, and the next call opens another.

    A statement whose reply did not come may have been done, or may be done later.
    """

    def __init__(self, url: DatabaseUrl, limits: PostgresLimits) -> None:
        self._url = url
        self._limits = limits
        self._turn = asyncio.Lock()
        self._connection: DatabaseConnection | None = None

    async def fetch(self, statement: str, *values: object) -> Sequence[Row]:
        """Return the rows of a statement that is a transaction; raise `LedgerUnavailable`."""
        async with self._turn:
            connection = await self._connected()
            try:
                async with asyncio.timeout(self._limits.call_s):
                    return await connection.fetch(statement, *values)
            except BaseException as error:  # noqa: BLE001 - raised again
                if not driver.is_answer(error):
                    self.drop()
                raise driver.translated(error, self._url) from None

    def drop(self) -> None:
        """Close the connection at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connected(self) -> DatabaseConnection:
        if self._connection is None or self._connection.is_closed():
            limits = self._limits
            self._connection = await driver.connect(self._url, limit_s=limits.connect_s, statement_s=limits.call_s)
        return self._connection
