"""The spool of replicas on any number of machines, in one Redis server.

Pieces that arrive in one turn of the loop, or while others are on their way, go together: those of one connection that
follow each other as one record, and all of them in one pipeline. Each script compares or makes the identity of the
store in the step that keeps the bytes, so a piece is never acknowledged for a server that forgot what it had
(`spool_scripts`). A hole is never read: the index names the bytes that were written (`spool_logs`).

Tried and given up: one hash field for each piece (70 bytes of memory each, and HKEYS of a large upload stops the server
for all); SETRANGE at the offsets of the input (a hole reads as zeros); a list of expiring keys without a sum of their
sizes (no bound for hosts).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from typing import Any, NamedTuple

from trickles.drivers.spooldir import SpoolBounds
from trickles.drivers.spooldir.log import MOST_PIECE_BYTES
from trickles.errors import InputBusy
from trickles.promise import Promise
from trickles.service import Buffer
from trickles.spool import STORE_BYTES, Kept, SpoolFull
from trickleweb.stores.redis.address import RedisUrl
from trickleweb.stores.redis.driver import Command, RedisAway, RedisFull
from trickleweb.stores.redis.limits import RedisLimits
from trickleweb.stores.redis.link import RedisLink, Standing
from trickleweb.stores.redis.spool_logs import batch_entries, batch_header
from trickleweb.stores.redis.spool_reading import SpoolReader
from trickleweb.stores.redis.spool_scripts import KEEP, SPEND, SWEEP

_RECORDS = 4096  # in one batch: some 50 kB of index
_MOST_SPENT = 4096
_SWEEP_EVERY_S, _SWEPT = 10.0, 64


class _Piece(NamedTuple):
    owner: bytes
    host: bytes
    offset: int
    data: Buffer
    kept: Promise[Kept]


class RedisSpool:
    """A `Spool` whose promises are resolved on the running loop. Raises `BadRedisUrl`, and `PackageMissing`.

    It connects at the first call or `look`, and again whenever connections break.
    """

    def __init__(
        self, url: str | RedisUrl, bounds: SpoolBounds | None = None, limits: RedisLimits | None = None
    ) -> None:
        url = url if isinstance(url, RedisUrl) else RedisUrl.parse(url)
        self._limits = limits = limits or RedisLimits()
        self._bounds = bounds = bounds or SpoolBounds()
        self._link = RedisLink(url, limits)  # for writing
        self._reading = RedisLink(url, limits)
        self._reader = SpoolReader(self._reading, most_indexed=bounds.most_indexed)
        self._standing: Standing | None = None  # the last one that was noted
        self._pieces: list[_Piece] = []
        self._spent: dict[bytes, int] = {}
        self._writer: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._swept_at = float("-inf")

    @property
    def identity(self) -> bytes:
        """The store's identity; InputBusy before it is known."""
        if not self._reader.mark:
            raise InputBusy("the store was not reached yet", self._reader.look(b""))
        return self._reader.mark

    async def open(self) -> None:
        """Connect, and learn the store's identity; raise `RedisAway` if that fails now. Later calls try again."""
        standing = await self._reading.found()
        if standing is not self._standing:  # else scripts know better: the server may have forgotten since
            self._standing = standing
            self._reader.note_mark(standing.mark)
        await self._link.found()

    def look(self) -> None:
        """Do what is due, without waiting, about each second; raise `RedisAway` while the server cannot be used."""
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.get_running_loop().create_task(self._keep_house())
        self._link.check()
        self._reading.check()

    async def close(self) -> None:
        """End its use; pieces on their way have no answer."""
        for task in (self._writer, self._keeper):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))
        await self._reader.close()
        for piece in self._pieces:
            piece.kept.resolve(None)
        self._pieces.clear()
        await self._link.close()
        await self._reading.close()

    def write(self, owner: bytes, host: bytes, offset: int, data: Buffer) -> bytes | Promise[Kept]:
        """Append a piece soon; SpoolFull when its offset exceeds the bound."""
        if not len(data) or len(data) > MOST_PIECE_BYTES or offset + len(data) > self._bounds.most_bytes:
            raise SpoolFull
        with self._reader.lock:
            log = self._reader.log(owner)
            if self._reader.is_fresh(log) and log.extents.has(offset, len(data)):
                return self._reader.mark  # a repeat
        kept: Promise[Kept] = Promise()
        self._pieces.append(_Piece(owner, host, offset, data, kept))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write())
        return kept

    def holds(self, owner: bytes, start: int, stop: int) -> bool:
        """Return True when the server has all of it; InputBusy while the index is read."""
        with self._reader.lock:
            return start >= stop or self._reader.holds(owner, start, stop)

    def read(self, owner: bytes, start: int, stop: int, most_pieces: int | None = None) -> bytes:  # noqa: ARG002
        """Read input from `start` on, up to `stop` or to the first gap; InputBusy while it is fetched."""
        with self._reader.lock:
            return b"" if start >= stop else self._reader.read(owner, start, stop)

    def discard(self, owner: bytes, below: int) -> None:
        """Let the owner's input be dropped soon, unless there is more of it."""
        self._spent[owner] = below
        while len(self._spent) > _MOST_SPENT:
            self._spent.pop(next(iter(self._spent)))

    async def _write(self) -> None:
        await asyncio.sleep(0)  # pieces of the same turn of the loop go together
        while self._pieces:
            batch = self._next()
            owners: dict[bytes, list[_Piece]] = {}
            for piece in batch:
                owners.setdefault(piece.owner, []).append(piece)
            kept: Kept = None
            try:
                await self._keep(owners)
            except RedisFull:
                kept = SpoolFull()
            except RedisAway:
                pass
            finally:
                for piece in batch:
                    piece.kept.resolve(kept)  # no effect on those that were kept

    def _next(self) -> list[_Piece]:
        size = count = 0
        for piece in self._pieces:
            if count and (size + len(piece.data) > self._limits.batch_bytes or count >= _RECORDS):
                break
            size += len(piece.data)
            count += 1
        batch, self._pieces = self._pieces[:count], self._pieces[count:]
        return batch

    async def _keep(self, owners: dict[bytes, list[_Piece]]) -> None:
        places = {owner: _records(pieces) for owner, pieces in owners.items()}
        commands = [self._command(owner, pieces, places[owner]) for owner, pieces in owners.items()]
        replies = await self._link.call(*commands)
        for (owner, pieces), reply in zip(owners.items(), replies, strict=True):
            kept = self._kept(owner, places[owner], reply)
            for piece in pieces:
                piece.kept.resolve(kept)

    def _command(self, owner: bytes, pieces: list[_Piece], places: list[tuple[int, int]]) -> Command:
        bounds, link = self._bounds, self._link
        ids = secrets.token_bytes(STORE_BYTES), owner, pieces[0].host, secrets.token_hex(8)
        space = bounds.most_total_bytes, bounds.most_host_bytes, 2 * bounds.most_bytes
        ages = int(bounds.most_age), int(bounds.most_crowded_age)
        stop = max(offset + size for offset, size in places)
        data = b"".join(piece.data for piece in pieces)
        said = (*ids, *space, *ages, batch_entries(places), len(places), data, stop)
        return ("EVAL", KEEP, 1, link.key("id"), link.key(""), *said)

    def _kept(self, owner: bytes, places: list[tuple[int, int]], reply: list[Any]) -> Kept:
        mark = bytes(reply[0])
        with self._reader.lock:
            self._reader.note_mark(mark)
            if len(reply) == 2:
                return SpoolFull()
            _, gen, before, chunk, place = reply
            log = self._reader.log(owner)
            log.add(gen, before, batch_header(chunk, place, len(places)) + batch_entries(places))
            log.checked_at = time.monotonic()
        return mark

    async def _keep_house(self) -> None:
        """Connect, say what is spent, and drop what is due."""
        with suppress(RedisAway):
            await self.open()
            spent, self._spent = self._spent, {}
            if spent:
                flat = [word for pair in spent.items() for word in pair]
                await self._link.script(SPEND, self._link.key(""), int(self._bounds.most_spent_age), *flat)
            now = time.monotonic()
            if now - self._swept_at > _SWEEP_EVERY_S:
                self._swept_at = now
                await self._link.script(SWEEP, self._link.key(""), _SWEPT)


def _records(pieces: list[_Piece]) -> list[tuple[int, int]]:
    """Return offset and size of each record: pieces that follow each other are one, shorter than 64 KiB."""
    places: list[tuple[int, int]] = []
    for piece in pieces:
        size = len(piece.data)
        if places and sum(places[-1]) == piece.offset and places[-1][1] + size <= MOST_PIECE_BYTES:
            places[-1] = places[-1][0], places[-1][1] + size
        else:
            places.append((piece.offset, size))
    return places
