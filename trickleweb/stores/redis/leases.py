"""The process as the server sees it: a key that ends by itself unless the process renews it.

away        no lease: calls raise `RedisAway`, and the next one tries to take one
held        the key is there. A task renews it three times in its life
strange     the server is there as another store, whose id `adopt` takes over (see `Ledger.look`)

A lease that has ended is never renewed: others may have called its work lost. The process takes one under a fresh
number then. Only the server's clock counts, and a process that stops for longer than a lease is dead to others, and to
itself.

Tried, and not done: the connection of a process as its sign of life, as in PostgreSQL. No script sees connections here.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

from trickles.stores import NO_STORE
from trickleweb.stores.redis.driver import RedisAway
from trickleweb.stores.redis.link import RedisLink, Standing

_NUMBER_BYTES = 8
# mark, root, owner, milliseconds, 1 for a new lease
_LEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'other'} end
local name = ARGV[2] .. 'o:' .. ARGV[3]
if ARGV[5] == '1' then
    redis.call('SET', name, 1, 'PX', ARGV[4])
    return {'held'}
end
return {redis.call('PEXPIRE', name, ARGV[4]) == 1 and 'held' or 'fallen'}
"""


class Lease:
    """Keeps a lease of this process."""

    def __init__(self, link: RedisLink) -> None:
        self.number = ""
        self.standing: Standing | None = None  # of the store that the lease is in
        self._link = link
        self._held = False
        self._taking = asyncio.Lock()
        self._renewer: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def store_id(self) -> bytes:
        return self.standing.store_id if self.standing is not None else NO_STORE

    @property
    def is_strange(self) -> bool:
        """True if the server is another store than the one of the lease."""
        found = self._link.standing
        return self.standing is not None and found is not None and found.store_id != self.standing.store_id

    def adopt(self) -> None:
        """Take over another store."""
        if self.is_strange:
            self.standing = self._link.standing
            self.fell()

    def fell(self) -> None:
        """Note that the lease has ended."""
        self._held = False

    async def taken(self) -> tuple[str, bytes]:
        """Return the number of a lease that is held, and the random bytes of its store; raise `RedisAway`."""
        async with self._taking:
            found = await self._link.found()
            self.standing = self.standing or found
            if self.is_strange:
                raise RedisAway(f"{self._link.url.shown}: another store is there now")
            if not self._held:
                self.number = secrets.token_hex(_NUMBER_BYTES)
                if await self._renewed("1") != b"held":
                    await self._link.renew()
                    raise RedisAway(f"{self._link.url.shown}: it lost its memory just now")
                self._held = True
                if self._renewer is None and not self._closed:
                    self._renewer = asyncio.get_running_loop().create_task(self._renew())
            return self.number, self.standing.mark

    async def close(self) -> None:
        """Give the lease back."""
        self._closed = True
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.wait((self._renewer,))
        if self._held:
            self._held = False
            with suppress(RedisAway):
                await self._link.call(("DEL", self._link.key("o", self.number)))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._link.limits.lease_s / 3)
            with suppress(RedisAway):
                if self._held and await self._renewed("0") != b"held":
                    self._held = False
                if not self._held:
                    await self.taken()

    async def _renewed(self, fresh: str) -> bytes:
        assert self.standing is not None
        milliseconds = int(1000 * self._link.limits.lease_s)
        arguments = self.standing.mark, self._link.key(""), self.number, milliseconds, fresh
        return bytes((await self._link.script(_LEASE, *arguments))[0])
