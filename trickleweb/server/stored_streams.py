"""Serve ranges of stored responses: from memory, from the store, or when there is more."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from trickles.service import Continuation, Deferred, Event, Reply
from trickleweb.cache import LruCache
from trickleweb.server.context import ServiceContext
from trickleweb.server.errors import Busy
from trickleweb.server.parking import Parking
from trickleweb.server.shelf import Shelf
from trickleweb.server.stored import StoredResponse
from trickleweb.server.tasks import TaskTable
from trickleweb.server.tokens.stored import StoredToken

_MOST_READERS = 1 << 14  # connections


class StoredStreams:
    """Answers requests for ranges of stored responses. `tasks` reads the store; requests for more are parked."""

    def __init__(self, tasks: TaskTable, parking: Parking, shelf: Shelf, context: ServiceContext) -> None:
        self._tasks = tasks
        self._parking = parking
        self._shelf = shelf
        self._limits = context.limits.streams
        self._context = context
        self._reading: LruCache[bytes, bytes] = LruCache(_MOST_READERS)  # the last response by connection

    async def first_bytes(self, response: StoredResponse) -> None:
        """Wait briefly so that the first bytes leave with the head."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.first_seconds):
                while not (response.size or response.over):
                    await self._shelf.news(response)

    def begin(self, event: Event, start: int, consumed: int, response: StoredResponse) -> Reply | Deferred:
        """Return the beginning of a response at output offset `start`."""
        self._note(event, response.token)
        first = response.first(start, consumed)
        return self._reply(response, event, first, response.token, first)

    def answer(self, event: Event, known: Continuation, token: StoredToken) -> Reply | Deferred:
        """Reply with the wanted bytes of that range, and with the next one; raise the error that prevents it here."""
        self._note(event, token)
        response = self._shelf.find(token.name)
        if response is not None:
            return self._from(response, event, known, token)
        return self._tasks.answer(
            ("open", token.name),
            lambda: self._opened(token, event.peer),
            lambda response: self._from(response, event, known, token),
        )

    def left(self, connection: bytes) -> None:
        """Let the last response to a client that has left make room for others."""
        if (name := self._reading.get(connection)) is not None:
            self._reading.drop(connection)
            self._shelf.note_use(name, over=True)

    def _note(self, event: Event, token: StoredToken) -> None:
        self._reading.put(event.connection, token.name)
        self._shelf.note_use(token.name)

    def _from(
        self, response: StoredResponse, event: Event, known: Continuation, token: StoredToken
    ) -> Reply | Deferred:
        if response.ready(event, known, token):
            return self._reply(response, event, known, token, response.following(event, known, token))
        if response.parked >= self._limits.parked_each:
            raise Busy
        return self._parking.park(event.peer, lambda: self._parked(response, event, known, token))

    def _reply(
        self,
        response: StoredResponse,
        event: Event,
        known: Continuation,
        token: StoredToken,
        following: Continuation | None,
    ) -> Reply | Deferred:
        """Return the reply, after a block of the response is read if it is not at hand."""
        reply = response.reply(event, known, token, following)
        if isinstance(reply, Reply):
            return reply
        at = reply
        return self._tasks.answer(
            ("load", token.name, at),
            lambda: self._shelf.load(response, at),
            lambda _: self._reply(response, event, known, token, following),
        )

    async def _opened(self, token: StoredToken, peer: str) -> StoredResponse:
        began = self._context.clock_us()
        response = await self._shelf.opened(token)
        self._context.observer.resumed(peer, began)
        return response

    async def _parked(self, response: StoredResponse, event: Event, known: Continuation, token: StoredToken) -> Reply:
        """Wait until a reply can be made; after a while return an empty one, so that the client asks again."""
        response.parked += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.parked_seconds):
                    while not response.ready(event, known, token):
                        await self._shelf.news(response)
                return await self._loaded(response, event, known, token)
            return Reply()
        finally:
            response.parked -= 1

    async def _loaded(self, response: StoredResponse, event: Event, known: Continuation, token: StoredToken) -> Reply:
        following = response.following(event, known, token)
        while not isinstance(reply := response.reply(event, known, token, following), Reply):
            await self._shelf.load(response, reply)
        return reply
