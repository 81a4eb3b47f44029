"""Cache of streamed responses, bounded by count, bytes and idle time."""

from __future__ import annotations

import asyncio

from trickleweb.server.limits import DEFAULT_STREAM_LIMITS, StreamLimits
from trickleweb.server.producer import LEAST_BYTES
from trickleweb.server.stream import StreamedResponse
from trickleweb.server.window import Where

_SWEEP_S = 2.0
_COUNT_EVERY = 16  # the bytes of n streams are counted after n / 16 further ones
_CLOSING_S = 1.0  # for work in a thread


class StreamCache:
    """Streamed responses by connection and the input offset after their request.

    Evicted ones are closed, and can be made again; those with parked requests are evicted last.
    """

    def __init__(self, limits: StreamLimits = DEFAULT_STREAM_LIMITS) -> None:
        self._limits = limits
        self._streams: dict[Where, StreamedResponse] = {}  # least recently used first
        self._used_at: dict[Where, float] = {}
        self._offsets: dict[bytes, set[int]] = {}  # by connection
        self._timer: asyncio.TimerHandle | None = None
        self._puts = 0  # since their bytes were counted

    def __len__(self) -> int:
        return len(self._streams)

    def get(self, where: Where) -> StreamedResponse | None:
        """Return the streamed response there, and mark it as used."""
        stream = self._streams.pop(where, None)
        if stream is not None:
            self._streams[where] = stream
            self._used_at[where] = asyncio.get_running_loop().time()
        return stream

    def put(self, where: Where, stream: StreamedResponse) -> None:
        """Keep a response, and evict others beyond the limits."""
        self.drop(where)
        self._streams[where] = stream
        self._offsets.setdefault(where[0], set()).add(where[1])
        stream.producer.room = self._room
        loop = asyncio.get_running_loop()
        self._used_at[where] = loop.time()
        self._trim()
        if self._timer is None:
            self._timer = loop.call_later(_SWEEP_S, self._sweep)

    def drop(self, where: Where) -> None:
        """Close one, if it is there."""
        stream = self._streams.pop(where, None)
        if stream is not None:
            connection, offset = where
            del self._used_at[where]
            self._offsets[connection].discard(offset)
            if not self._offsets[connection]:
                del self._offsets[connection]
            stream.producer.close()

    def left(self, connection: bytes) -> None:
        """Close those of a client that has left."""
        for offset in list(self._offsets.get(connection, ())):
            self.drop((connection, offset))

    def clear(self) -> None:
        for where in list(self._streams):
            self.drop(where)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Close all, and wait briefly for their tasks."""
        streams = list(self._streams.values())
        self.clear()
        ends = [asyncio.ensure_future(each.producer.wait_closed()) for each in streams]
        if ends:
            await asyncio.wait(ends, timeout=_CLOSING_S)

    def _room(self) -> int:
        """Return the number of bytes that each may keep."""
        return max(self._limits.streams_bytes // max(len(self._streams), 1), LEAST_BYTES)

    def _trim(self) -> None:
        self._puts += 1
        if len(self._streams) <= self._limits.streams and self._puts * _COUNT_EVERY < len(self._streams):
            return  # to count them all costs as much as many puts
        self._puts = 0
        kept = (
            sum(stream.producer.buffer.kept_bytes for stream in self._streams.values()) if len(self._streams) > 1 else 0
        )
        if len(self._streams) <= self._limits.streams and kept <= self._limits.streams_bytes:
            return
        for where in sorted(list(self._streams)[:-1], key=lambda where: self._streams[where].parked > 0):
            if len(self._streams) <= self._limits.streams and kept <= self._limits.streams_bytes:
                return
            kept -= self._streams[where].producer.buffer.kept_bytes
            self.drop(where)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            for where, stream in self._streams.items():
                if stream.parked:  # it is used until its requests are answered
                    self._used_at[where] = loop.time()
            for where in [each for each, at in self._used_at.items() if self._is_idle(self._streams[each], at)]:
                self.drop(where)
        finally:  # even if closing one raises
            self._timer = loop.call_later(_SWEEP_S, self._sweep) if self._streams else None

    def _is_idle(self, stream: StreamedResponse, used_at: float) -> bool:
        limits = self._limits
        most = limits.silent_seconds if stream.eager else limits.idle_seconds
        return used_at < asyncio.get_running_loop().time() - most
