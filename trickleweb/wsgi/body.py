"""The body of a request as a file for blocking programs."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import IO, Any, TypeVar, cast

T = TypeVar("T")
OnLoop = Callable[[Coroutine[Any, Any, T]], T]  # runs a coroutine on the loop, from a thread, and returns its result
_BUFFER_BYTES = 65_536


def body_file(pieces: AsyncIterator[bytes], on_loop: OnLoop[bytes]) -> IO[bytes]:
    """Return a file that is read once, from beginning to end; it raises the errors of `pieces`."""
    return cast("IO[bytes]", io.BufferedReader(_Pieces(pieces, on_loop), _BUFFER_BYTES))


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: AsyncIterator[bytes], on_loop: OnLoop[bytes]) -> None:
        self._pieces = pieces
        self._on_loop = on_loop
        self._rest = memoryview(b"")
        self._broken: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes, 0 at the end; after an error raise that each time."""
        if self._broken is not None:
            raise self._broken
        if not self._rest:
            try:
                self._rest = memoryview(self._on_loop(_next(self._pieces)))
            except Exception as error:
                self._broken = error
                raise
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    async for piece in pieces:
        if piece:
            return piece
    return b""
