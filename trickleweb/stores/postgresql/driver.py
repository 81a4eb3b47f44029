"""The only module that knows asyncpg: connections, and its errors as those of a ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from trickleweb.errors import LedgerAway, LedgerUnavailable, LedgerUnwritable, PackageMissing
from trickleweb.stores.postgresql.address import DatabaseUrl

Row = Mapping[str, Any]
_KINDS = {  # https://www.postgresql.org/docs/current/errcodes-appendix.html: the statement changed nothing
    "53100": LedgerUnwritable,  # disk full
    "25006": LedgerAway,  # read-only
    "3F000": LedgerAway,  # no schema
    "42501": LedgerAway,  # no privilege
    "42703": LedgerAway,  # no column
    "42P01": LedgerAway,  # no table
}
# A server notices a client whose network is cut off after some ten seconds; it does not by default for two hours.
_SETTINGS = """
SET tcp_keepalives_idle = 4;
SET tcp_keepalives_interval = 2;
SET tcp_keepalives_count = 3;
SET default_transaction_isolation = 'read committed';
SET statement_timeout = {milliseconds};
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
"""


class DatabaseConnection(Protocol):
    """The part of `asyncpg.Connection` that is used."""

    async def fetch(self, query: str, *args: object) -> Sequence[Row]: ...

    async def execute(self, query: str) -> str: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...

    def is_closed(self) -> bool: ...

    def add_termination_listener(self, callback: Callable[[object], None]) -> None: ...


def asyncpg_module() -> Any:
    """Import and return asyncpg; raise `PackageMissing`."""
    try:
        import asyncpg
    except ImportError:
        raise PackageMissing("a ledger in PostgreSQL needs asyncpg: pip install 'trickles[postgresql]'") from None
    return asyncpg


async def connect(url: DatabaseUrl, *, limit_s: float, statement_s: float) -> DatabaseConnection:
    """Return a new connection; raise `LedgerUnavailable` with the reason, `PackageMissing`."""
    asyncpg = asyncpg_module()
    connection: DatabaseConnection | None = None
    try:
        async with asyncio.timeout(limit_s):
            connection = await asyncpg.connect(url.dsn, timeout=2 * limit_s)
            assert connection is not None
            await connection.execute(_SETTINGS.format(milliseconds=round(1000 * statement_s)))
            return connection
    except BaseException as error:  # noqa: BLE001 - raised again
        if connection is not None:
            connection.terminate()
        raise translated(error, url) from None


def is_answer(error: BaseException) -> bool:
    """Return whether the server gave that error as the result of a statement, and the connection can be used on."""
    asyncpg = asyncpg_module()
    return isinstance(error, asyncpg.PostgresError) and not isinstance(error, asyncpg.PostgresConnectionError)


def translated(error: BaseException, url: DatabaseUrl) -> BaseException:
    """Return the error of a ledger for one of the driver, or of the network; any other is returned as it is."""
    if isinstance(error, LedgerUnavailable):
        return error
    state = getattr(error, "sqlstate", None)
    kind: type[LedgerUnavailable] = _KINDS.get(str(state), LedgerUnavailable)
    driver = asyncpg_module()
    if isinstance(error, TimeoutError):
        return kind(f"{url.shown}: no reply in time")
    known = driver.PostgresError | driver.InterfaceError | driver.InternalClientError
    if isinstance(error, known | OSError | EOFError):
        return kind(url.redacted(f"{url.shown}: {str(error) or type(error).__name__}"))
    return error
