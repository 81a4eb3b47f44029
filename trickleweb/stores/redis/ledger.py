"""The ledger of replicas on any number of machines, in one Redis server.

Each call is a script: one step at the server. A claim has the number of its owner, which has a lease (`leases`), and
of its attempt, random for each call. A claim whose reply did not come may have been made; nobody was given `New` for
it, so nothing was done. The attempt stays in a list then, and a later claim that finds it in the row takes the row
over.

What the server forgets is not known any more: with `appendonly yes` nothing when it is killed, and with `appendfsync
always` nothing when its machine loses power. A failover to a replica forgets claims that the replica had not got;
`?replicas=1` in the URL lets a claim count only when one has it (WAIT), which bounds this to two failures at once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from trickleweb.cache import LruCache
from trickleweb.errors import LedgerAway, LedgerUnavailable, LedgerUnwritable
from trickleweb.ledger import Claim, Done, Lost, New, Pending
from trickleweb.stores.batches import Batches
from trickleweb.stores.claim_rows import check_plan
from trickleweb.stores.redis.address import RedisUrl
from trickleweb.stores.redis.driver import Command, RedisAway, RedisFull
from trickleweb.stores.redis.leases import Lease
from trickleweb.stores.redis.ledger_scripts import CLAIM, COMPLETE, EXPIRE, RELEASE
from trickleweb.stores.redis.limits import RedisLimits
from trickleweb.stores.redis.link import RedisLink

_CLAIMS_PER_SWEEP = 1024
_EXPIRED = 1000  # in one step
_ATTEMPTS = 32  # remembered of one key
_CLAIMS: dict[bytes, Claim] = {b"new": New(), b"pending": Pending(), b"lost": Lost()}
_DAY_MS = 86_400_000


class _LedgerCall(NamedTuple):
    """A script with its arguments but for mark and root; `key` and `attempt` if it is a claim."""

    script: str
    arguments: tuple[Any, ...]
    key: bytes = b""
    attempt: str = ""


class RedisLedger:
    """A `Ledger` in a Redis server. Raises `BadRedisUrl`, and `PackageMissing` without redis-py.

    It connects at the first call or `look`, and again whenever the connection breaks.
    """

    def __init__(self, url: str | RedisUrl, limits: RedisLimits | None = None) -> None:
        url = url if isinstance(url, RedisUrl) else RedisUrl.parse(url)
        self._limits = limits = limits or RedisLimits()
        self._link = link = RedisLink(url, limits)
        self._lease = Lease(link)
        self._calls = Batches[_LedgerCall, Any](
            self._batch,
            calls=limits.batch_calls,
            most_bytes=limits.batch_bytes,
            weight=lambda call: sum(len(each) for each in call.arguments if isinstance(each, bytes)),
            unheard=self._unheard,
        )
        self._doubtful: LruCache[bytes, tuple[str, ...]] = LruCache(limits.doubtful_keys)
        self._life_ms = limits.keep // 1000 + _DAY_MS
        self._claimed = 0
        self._work: set[asyncio.Task[Any]] = set()

    @property
    def store_id(self) -> bytes:
        return self._lease.store_id

    async def open(self) -> None:
        """Wait for the first attempt to connect; raise `LedgerUnavailable` if it failed. Others follow in any case."""
        async with self._in_time():
            await self._lease.taken()

    def look(self) -> None:
        """Begin to connect, or take over the id of another store; raise `LedgerUnavailable` without a connection."""
        self._lease.adopt()
        self._begin(self._lease.taken())
        try:
            self._link.check()
        except RedisAway as error:
            raise LedgerUnavailable(str(error)) from None

    async def close(self) -> None:
        """Give the lease back: claims of this process that are not completed become lost."""
        await self._calls.close()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._lease.close()
        await self._link.close()

    async def claim(self, key: bytes, *, now: int) -> Claim:
        self._sweep_sometimes(now)
        return await self._claim(key, now, "0")

    async def adopt(self, key: bytes, *, now: int) -> Claim:
        return await self._claim(key, now, "1")

    async def find(self, key: bytes) -> Done | None:
        async with self._in_time():
            await self._taken()
            [row] = await self._link.call(("GET", self._row(key)))
        return Done(bytes(row[1:])) if row is not None and row[:1] == b"D" else None

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        """Complete a claim; raise `StateTooLarge` for a plan over `plan_bytes`, which is not stored.

        Raise `LedgerUnwritable` only where no process can store anything: the server has no memory left.
        """
        check_plan(plan, self._limits.plan_bytes)
        try:
            reply = await self._called(_LedgerCall(COMPLETE, (key, bytes(plan), now, self._life_ms)))
        except LedgerAway as error:
            raise LedgerUnavailable(str(error)) from None
        return bytes(reply[1]) if reply[0] == b"done" else plan

    async def release(self, key: bytes) -> None:
        number = self._lease.number
        await self._called(_LedgerCall(RELEASE, (key, number)))

    async def expire(self, *, before: int) -> int:
        """Forget old rows; claims do it too, some rows at a time, after `keep` microseconds."""
        count, gone = 0, _EXPIRED
        while gone == _EXPIRED:
            gone = (await self._called(_LedgerCall(EXPIRE, (before, _EXPIRED))))[1]
            count += gone
        return count

    def _row(self, key: bytes) -> bytes:
        return self._link.key("c", "").encode() + key

    def _begin(self, work: Any) -> None:
        async def quiet() -> None:
            with suppress(RedisAway, LedgerUnavailable):
                await work

        task = asyncio.get_running_loop().create_task(quiet())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _sweep_sometimes(self, now: int) -> None:
        self._claimed += 1
        if self._claimed % _CLAIMS_PER_SWEEP == 0:
            self._begin(self._called(_LedgerCall(EXPIRE, (now - self._limits.keep, _EXPIRED))))

    async def _claim(self, key: bytes, now: int, adopt: str) -> Claim:
        attempt = secrets.token_hex(8)
        reply = await self._called(_LedgerCall(CLAIM, (key, now, adopt), key, attempt))
        if reply[0] == b"done":
            return Done(bytes(reply[1]))
        return _CLAIMS[bytes(reply[0])]

    async def _called(self, call: _LedgerCall) -> list[Any]:
        """Return a script's reply; raise `LedgerUnavailable`."""
        async with self._in_time():
            reply = await self._calls.call(call)
            if isinstance(reply, Exception):
                raise reply
            if reply[0] == b"other":
                await self._link.renew()
                raise LedgerAway(f"{self._link.url.shown}: it lost its memory: another ledger is there now")
            if reply[0] == b"fallen":
                self._lease.fell()
                raise LedgerAway(f"{self._link.url.shown}: the lease of this process has ended")
        return list(reply)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.call_s):
                yield
        except RedisFull as error:
            raise LedgerUnwritable(str(error)) from None
        except RedisAway as error:
            raise LedgerUnavailable(str(error)) from None
        except TimeoutError:
            raise LedgerUnavailable(f"{self._link.url.shown}: no reply in time") from None

    async def _taken(self) -> tuple[str, bytes]:
        """Return the number of a lease and the mark of its store; `LedgerAway` where there is none."""
        try:
            return await self._lease.taken()
        except RedisAway as error:
            raise LedgerAway(str(error)) from None

    # On the connection: one batch at a time

    async def _batch(self, calls: Sequence[_LedgerCall]) -> list[Any]:
        number, mark = await self._taken()
        commands = [self._command(call, number, mark) for call in calls]
        copies = self._link.url.replicas
        if copies:
            commands.append(("WAIT", copies, int(500 * self._limits.call_s)))
        try:
            replies = await self._link.replies(*commands)
        except BaseException:
            for call in calls:
                self._doubt(call)
            raise
        if copies and replies.pop() < copies:
            return [self._not_copied(call) for call in calls]
        for call, reply in zip(calls, replies, strict=True):
            if call.attempt and not isinstance(reply, Exception) and reply[0] == b"new":
                self._doubtful.drop(call.key)
        return replies

    def _command(self, call: _LedgerCall, number: str, mark: bytes) -> Command:
        arguments = call.arguments
        if call.attempt:
            key, now, adopt = arguments
            known = self._doubtful.get(key) or ()
            arguments = (number, key, call.attempt, now, self._life_ms, adopt, *known)
        return ("EVAL", call.script, 1, self._link.key("id"), mark, self._link.key(""), *arguments)

    def _not_copied(self, call: _LedgerCall) -> LedgerUnavailable:
        self._doubt(call)
        return LedgerUnavailable(f"{self._link.url.shown}: too few replicas have it")

    def _unheard(self, call: _LedgerCall, reply: Any) -> None:
        """Note that a caller left before its answer: nothing is done for a `New` claim."""
        if not isinstance(reply, Exception) and reply[0] == b"new":
            self._doubt(call)

    def _doubt(self, call: _LedgerCall) -> None:
        if call.attempt:
            known = self._doubtful.get(call.key) or ()
            self._doubtful.put(call.key, (*known, call.attempt)[-_ATTEMPTS:])
