"""Run unsafe requests at most once: the first replica to claim one runs it, all others give its response.

The states of a request in the ledger, and the action of a replica in each:

 (no row)  claim it, run it, store its response: `New`
 pending   a living replica is working on it: ask again soon
 lost      that replica died during the work. The request runs again only if its route allows that; every client that
           asks for it gets a 500 that calls the outcome unknown
 done      the row holds the token of the response: any replica sends it

The response is stored before its first byte leaves, so no two outcomes ever become known. A token that fits a
continuation is sent itself; of a larger one only its key is (`KeptToken`), and replicas read the row. Responses that
are made while they are sent, or too large for a row, are in the response store: their row holds a `StoredToken` as soon
as their head is stored. Room for one is reserved before the application runs: 507 and 503 come before any effect.

While nothing can be recorded (`LedgerUnwritable`), the two answers that no row holds are

 - to a request that could not be claimed, a 503: nothing was done. No replica can claim it; if the disk gets room just
   then, one to which the client's packets came at the same time may run it nevertheless.
 - to one that was claimed, its response, or a 500 if that does not fit the client's continuation. The claim stays until
   the response can be stored, which is tried each second: others wait for it, or call the outcome unknown when this
   replica has died. So no other outcome becomes known.

Perhaps only this replica cannot use the ledger (`LedgerAway`). Then it sends the client to the others by ENDING. A
client that still asks for the same request after some seconds has found none; it gets a 503, which says no more than
that nothing was done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.ledger import (
    Claim,
    Done,
    Ledger,
    LedgerAway,
    LedgerUnavailable,
    LedgerUnwritable,
    Lost,
    New,
    Pending,
    request_key,
)
from trickleweb.plain import StateTooLarge
from trickleweb.response_store import ResponseStoreError, ResponseStoreFull, ResponseWriter
from trickleweb.server.drain import Drain
from trickleweb.server.errors import Ending
from trickleweb.server.fixed import Sendable, last_response, resumed
from trickleweb.server.input import NOT_WHOLE, PERHAPS_DONE, lost
from trickleweb.server.run import UNKEPT, Exchange, ResolvedResponse, Responder, refused
from trickleweb.server.storing import Storing
from trickleweb.server.tokens import MAX_TOKEN_BYTES, PlannedToken, decode_untrusted, encode
from trickleweb.server.window import Where

_ERROR = 500
UNKNOWN_OUTCOME = "The server died at work on this request, and its outcome is unknown."
NO_ROOM = "There is no room to store a response, so nothing was done.", 507
NO_STORE = "Responses cannot be stored now, so nothing was done.", 503
NO_RECORD = "Requests cannot be recorded now, so nothing was done.", 503
AWAY = "The record of requests cannot be reached from here now, so nothing was done here.", 503
_ELSEWHERE_US = 3_000_000  # for a client to find a replica that can use the ledger
_AWAY_KEYS = 4096
_UNKEPT_BYTES = 16 << 20
_AGAIN_S = 1.0  # between attempts to store them
PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.2  # between checks of a pending request


class UnsafeRequests:
    """Answers unsafe requests. Methods raise `LedgerUnavailable` before work begins, or before a later store of it."""

    def __init__(self, responder: Responder, once: AtMostOnce, storing: Storing) -> None:
        self._responder = responder
        self._once = once
        self._storing = storing

    async def token(self, exchange: Exchange, key: bytes, *, repeatable: bool) -> bytes:
        """Return the token of the valid response, running the request if no replica has; raise `Busy` before that."""
        self._storing.check()
        try:
            standing = await self._once.claim(key, repeatable=repeatable)
        except LedgerUnwritable as error:
            self._responder.on_error(error)
            return _token(_refusal(exchange, *(AWAY if isinstance(error, LedgerAway) else NO_RECORD)))
        if isinstance(standing, Done):
            return standing.plan
        if isinstance(standing, Lost):
            return await self.keep(exchange, key, _refusal(exchange, UNKNOWN_OUTCOME))
        try:
            writer = await self._storing.reserve(exchange.request.setting.peer)
        except ResponseStoreError as error:
            self._responder.on_error(error)
            full = isinstance(error, ResponseStoreFull)
            return await self.keep(exchange, key, _refusal(exchange, *(NO_ROOM if full else NO_STORE)))
        return await self._run(exchange, key, writer)

    async def _run(self, exchange: Exchange, key: bytes, writer: ResponseWriter) -> bytes:
        """Run the application; keep its response in the ledger, or begin to store it."""
        try:
            resolved = await self._responder.respond(exchange)
        except BaseException:
            writer.close()
            raise
        if resolved.most_bytes is None:
            writer.close()
            return await self.keep(exchange, key, resolved)
        pieces = resolved.content(self._responder.application.read, chunked=True)
        delivery, head = resolved.delivery, resolved.head(exchange.date_s)
        length, last = delivery.content_length, not delivery.keep_alive
        try:
            token = await self._storing.start(writer, head, pieces, resolved.status, length=length, last=last)
        except ResponseStoreError as error:
            self._responder.on_error(error)
            return await self.keep(exchange, key, _refusal(exchange, UNKEPT))
        return await self._once.complete(key, encode(token))

    async def keep(self, exchange: Exchange, key: bytes, resolved: ResolvedResponse) -> bytes:
        """Store the response of a request; return the token that counts."""
        try:
            return await self._once.complete(key, _token(resolved))
        except (StateTooLarge, LedgerUnwritable) as error:
            self._responder.on_error(error)
            return await self._once.complete(key, _token(_refusal(exchange, UNKEPT)))

    async def lose(self, where: Where, *, date_s: int) -> Sendable:
        """Return the refusal of a request whose input was lost, and prevent later runs of it."""
        key = request_key(*where)
        try:
            standing = await self._once.claim(key, repeatable=False)
        except LedgerUnwritable:
            return last_response(lost(PERHAPS_DONE), date_s)
        made = last_response(lost(NOT_WHOLE if isinstance(standing, New) else PERHAPS_DONE), date_s)
        if isinstance(standing, Done):
            return _last_of(standing.plan) or made
        await self._once.complete(key, made.token)
        return made


def _last_of(token: bytes) -> Sendable | None:
    """Return the response that ended a connection, if the ledger has that."""
    found = decode_untrusted(token)
    if not isinstance(found, PlannedToken):
        return None
    response = resumed(found.delivered, found.plan)
    return Sendable(response, token, found.plan.status) if response.last else None


def _refusal(exchange: Exchange, why: str, status: int = _ERROR) -> ResolvedResponse:
    headers = () if status == _ERROR else (("Retry-After", "1"),)
    return refused(HTTPError(status, why, headers=headers), exchange.head, close=exchange.close, date_s=exchange.date_s)


def _token(resolved: ResolvedResponse) -> bytes:
    return resolved.first_token if resolved.sendable is None else resolved.sendable.token


class AtMostOnce:
    """The ledger as requests use it. Every method may raise `LedgerUnavailable`."""

    def __init__(self, ledger: Ledger, now: Callable[[], int], drain: Drain) -> None:
        self._ledger = ledger
        self._now = now
        self._drain = drain
        self._unkept: LruCache[bytes, bytes] = LruCache(_UNKEPT_BYTES)
        self._away: LruCache[bytes, int] = LruCache(_AWAY_KEYS)  # the first time that a client asked in vain
        self._keeping: asyncio.Task[None] | None = None

    def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()

    async def claim(self, key: bytes, *, repeatable: bool) -> New | Done | Lost:
        """Return the state of a request once it is not pending; `Lost` to the first that finds it so.

        Raise `Ending` for one that is pending elsewhere when this replica ends, and while the client may find another
        replica that can use the ledger; then `LedgerAway`.
        """
        pause = PAUSE_S
        if (unkept := self._unkept.get(key)) is not None:
            return Done(await self.complete(key, unkept))
        while True:
            try:
                claimed = await self._ask(key, repeatable=repeatable)
            except LedgerAway:
                first = self._away.get(key) or self._now()
                self._away.put(key, first)
                if self._now() - first < _ELSEWHERE_US:
                    raise Ending from None
                raise
            if not isinstance(claimed, Pending):
                return claimed
            self._drain.check()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def complete(self, key: bytes, plan: bytes) -> bytes:
        """Store the response; return the one that counts. If it cannot be stored now, that is tried again.

        One that fits a continuation counts while the ledger is unwritable. Raise `StateTooLarge` for one too long for
        the ledger.
        """
        try:
            return await self._store(key, plan)
        except LedgerUnavailable as error:
            is_unwritable = isinstance(error, LedgerUnwritable)
            if is_unwritable and len(plan) > MAX_TOKEN_BYTES:
                raise
            self._unkept.put(key, plan, len(plan))
            if self._keeping is None or self._keeping.done():
                self._keeping = asyncio.get_running_loop().create_task(self._store_unkept())
            if is_unwritable:
                return plan
            raise

    async def _store(self, key: bytes, plan: bytes) -> bytes:
        kept = await self._ledger.complete(key, plan, now=self._now())
        self._unkept.drop(key)
        return kept

    async def _store_unkept(self) -> None:
        """Store what could not be stored, as soon as that can be."""
        while (item := self._unkept.oldest()) is not None:
            await asyncio.sleep(_AGAIN_S)
            with suppress(LedgerUnavailable):
                await self._store(*item)

    async def kept(self, key: bytes) -> bytes | None:
        """Return the value under a key, None if there is none."""
        found = await self._ledger.find(key)
        return None if found is None else found.plan

    async def _ask(self, key: bytes, *, repeatable: bool) -> Claim:
        claimed = await self._ledger.claim(key, now=self._now())
        if isinstance(claimed, Lost) and repeatable:
            return await self._ledger.adopt(key, now=self._now())
        return claimed
