"""The owner of this process, taken again whenever its connection breaks; the identity of the ledger found then.

not begun   no call came yet; the first one, or `look`, starts the task that keeps an owner
away        no owner: calls raise `LedgerAway`. The task tries again, after pauses
open        an owner is there. The task watches its connection, and goes to `away` when that breaks
strange     as away: the server is there with another ledger, whose id `look` takes over (see `Ledger.look`)
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from trickles.stores import NO_STORE
from trickleweb.errors import LedgerAway, LedgerUnavailable
from trickleweb.stores.postgresql import driver
from trickleweb.stores.postgresql.address import DatabaseUrl
from trickleweb.stores.postgresql.lane import Lane
from trickleweb.stores.postgresql.limits import PostgresLimits
from trickleweb.stores.postgresql.owner import SessionOwner
from trickleweb.stores.postgresql.schema import prepared

_HELD = "SELECT NOT pg_try_advisory_xact_lock_shared($1) AS held"
_POOLER = "%s: session locks do not hold; a pooler between must be in session mode"


class Sessions:
    """Keeps an owner. `lane` is a connection of its own, from which the lock is seen to be held."""

    def __init__(self, url: DatabaseUrl, lane: Lane, limits: PostgresLimits) -> None:
        self.store_id = NO_STORE
        self._url = url
        self._lane = lane
        self._limits = limits
        self._owner: SessionOwner | None = None
        self._strange: tuple[SessionOwner, bytes] | None = None
        self._error = LedgerUnavailable(f"{url.shown}: not reached yet")
        self._tried: asyncio.Event = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    def look(self) -> None:
        """Begin to connect, or take over the id of another ledger that is there now; raise why there is no owner."""
        self._begin()
        if self._strange is not None:
            (self._owner, self.store_id), self._strange = self._strange, None
        if self._owner is None:
            raise self._error

    async def owner(self) -> SessionOwner:
        """Return the owner, waiting for the first attempt to take one; raise `LedgerUnavailable`."""
        self._begin()
        if self._owner is None:
            await self._tried.wait()
        if self._owner is not None:
            return self._owner
        raise LedgerAway(str(self._error))

    async def close(self) -> None:
        """Give back the lock: claims that are not completed become lost."""
        self._closed = True
        self._tried.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        for owner in (self._owner, self._strange[0] if self._strange else None):
            if owner is not None:
                await owner.close(limit_s=self._limits.call_s)
        self._owner = self._strange = None
        self._error = LedgerUnavailable("the ledger is closed")

    def _begin(self) -> None:
        if self._keeper is None and not self._closed:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        limits, pause = self._limits, self._limits.least_pause_s
        while True:
            try:
                owner, store_id = await self._open()
            except Exception as error:  # noqa: BLE001 - a fault of the driver must not end the attempts
                self._error = error if isinstance(error, LedgerUnavailable) else LedgerUnavailable(repr(error))
                self._tried.set()
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # so that a fleet does not come back at once
                pause = min(2 * pause, limits.most_pause_s)
                continue
            pause = limits.least_pause_s
            self._found(owner, store_id)
            self._tried.set()
            await owner.lost(beat_s=limits.beat_s, limit_s=limits.call_s)
            self._owner = self._strange = None
            self._error = LedgerUnavailable(f"{self._url.shown}: the connection broke")

    def _found(self, owner: SessionOwner, store_id: bytes) -> None:
        if self.store_id in (NO_STORE, store_id):
            self._owner, self.store_id = owner, store_id
        else:
            self._strange = owner, store_id
            self._error = LedgerUnavailable(f"{self._url.shown}: another ledger is there now")

    async def _open(self) -> tuple[SessionOwner, bytes]:
        limits = self._limits
        connection = await driver.connect(self._url, limit_s=limits.connect_s, statement_s=limits.call_s)
        try:
            async with asyncio.timeout(limits.connect_s):
                store_id = await prepared(connection, self._url.schema, self._url.shown)
                owner = await SessionOwner.taken(connection)
                [row] = await self._lane.fetch(_HELD, owner.number)
            if not row["held"]:
                raise LedgerUnavailable(_POOLER % self._url.shown)
            return owner, store_id
        except BaseException as error:  # noqa: BLE001 - raised again
            with suppress(Exception):
                connection.terminate()
            raise driver.translated(error, self._url) from None
