"""Run unsafe requests at most once: the first replica to claim one runs it, all others give the response it left.

The states of a request in the ledger, and what a replica does in each:

    (no row)   claim it, run it, keep what came of it: `New`
    pending    a living replica is at work on it: look again soon
    lost       that replica died at work. Nobody runs the request again, unless its route says that twice does no harm;
               the client is told that the outcome is unknown, and so is everybody who asks again
    done       the row holds the token of the response: it is sent, by whichever replica

The response is kept before the first byte of it leaves, so nobody ever hears of two outcomes. A token that fits a
continuation goes out itself; of a larger one only its key does (`KeptToken`), and replicas read the row. Responses
that are too large for a row are for a store of their own, whose place is `keep`: it has the resolved response before
the client has any of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.ledger import Claim, Done, Ledger, LedgerUnavailable, Lost, New, Pending, request_key
from trickleweb.plain import StateTooLarge
from trickleweb.server.fixed import Sendable, last_response, resumed
from trickleweb.server.input import NOT_WHOLE, PERHAPS_DONE, lost
from trickleweb.server.run import UNKEPT, Exchange, ResolvedResponse, Responder, refused
from trickleweb.server.tokens import PlannedToken, decode_untrusted
from trickleweb.server.window import Where

T = TypeVar("T")
UNKNOWN_OUTCOME = "The server died at work on this request: whether it was done is not known."
_THREADS = 4  # ledgers let one write at a time
_UNKEPT_BYTES = 16 << 20
PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.2  # between looks at what another replica is at work on


class UnsafeRequests:
    """Answers unsafe requests. Every method may raise `LedgerUnavailable`: nothing has begun, or it is kept soon."""

    def __init__(self, responder: Responder, once: AtMostOnce) -> None:
        self._responder = responder
        self._once = once

    async def token(self, exchange: Exchange, key: bytes, *, repeatable: bool) -> bytes:
        """The token of the response that counts; the request is run if nobody has."""
        standing = await self._once.claim(key, repeatable=repeatable)
        if isinstance(standing, Done):
            return standing.plan
        if isinstance(standing, Lost):
            return await self.keep(exchange, key, _refusal(exchange, UNKNOWN_OUTCOME))
        return await self.keep(exchange, key, await self._responder.respond(exchange))

    async def keep(self, exchange: Exchange, key: bytes, resolved: ResolvedResponse) -> bytes:
        """Keep what came of a request; the token that counts comes back."""
        try:
            return await self._once.complete(key, _token(resolved))
        except StateTooLarge as error:
            self._responder.on_error(error)
            return await self._once.complete(key, _token(_refusal(exchange, UNKEPT)))

    async def lose(self, where: Where, *, date_s: int) -> Sendable:
        """The refusal of a request whose input was lost; from now on nobody acts on it."""
        key = request_key(*where)
        standing = await self._once.claim(key, repeatable=False)
        made = last_response(lost(NOT_WHOLE if isinstance(standing, New) else PERHAPS_DONE), date_s)
        if isinstance(standing, Done):
            return _said(standing.plan) or made
        await self._once.complete(key, made.token)
        return made


def _said(token: bytes) -> Sendable | None:
    """The response that a connection ended with, if the ledger keeps that."""
    found = decode_untrusted(token)
    if not isinstance(found, PlannedToken):
        return None
    response = resumed(found.delivered, found.plan)
    return Sendable(response, token, found.plan.status) if response.last else None


def _refusal(exchange: Exchange, why: str) -> ResolvedResponse:
    return refused(HTTPError(500, why), exchange.head, close=exchange.close, date_s=exchange.date_s)


def _token(resolved: ResolvedResponse) -> bytes:
    return resolved.first_token if resolved.sendable is None else resolved.sendable.token


class AtMostOnce:
    """The ledger, asked in threads of its own; `now` is in microseconds since 1970.

    Every method may raise `LedgerUnavailable`.
    """

    def __init__(self, ledger: Ledger, now: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now = now
        self._threads = ThreadPoolExecutor(_THREADS, "ledger")
        self._unkept: LruCache[bytes, bytes] = LruCache(_UNKEPT_BYTES)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def claim(self, key: bytes, *, repeatable: bool) -> New | Done | Lost:
        """The state of a request once nobody else is at work on it; `Lost` for the first to find it so."""
        pause = PAUSE_S
        if (unkept := self._unkept.get(key)) is not None:
            return Done(await self.complete(key, unkept))
        while True:
            claimed = await self._ask(key, repeatable=repeatable)
            if not isinstance(claimed, Pending):
                return claimed
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def complete(self, key: bytes, plan: bytes) -> bytes:
        """Keep the response; the one that counts comes back. One that cannot be kept now waits for the next `claim`.

        `StateTooLarge` for more than the ledger keeps.
        """
        try:
            kept = await self._threaded(lambda: self._ledger.complete(key, plan, now=self._now()))
        except LedgerUnavailable:
            self._unkept.put(key, plan, len(plan))
            raise
        self._unkept.drop(key)
        return kept

    async def kept(self, key: bytes) -> bytes | None:
        """The value kept under a key, None if there is none."""
        found = await self._threaded(lambda: self._ledger.find(key))
        return None if found is None else found.plan

    async def _ask(self, key: bytes, *, repeatable: bool) -> Claim:
        claimed = await self._threaded(lambda: self._ledger.claim(key, now=self._now()))
        if isinstance(claimed, Lost) and repeatable:
            return await self._threaded(lambda: self._ledger.adopt(key, now=self._now()))
        return claimed

    def _threaded(self, call: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, call)
