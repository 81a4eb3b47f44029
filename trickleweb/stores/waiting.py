"""Coroutines that wait for a stored response to grow, on one event loop."""

from __future__ import annotations

import asyncio


class Waits:
    """Waiting coroutines by the name of their response; a wake-up says nothing about its cause."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, set[asyncio.Future[None]]] = {}

    async def wait(self, name: bytes) -> None:
        """Return at the next `wake` of that name."""
        future = asyncio.get_running_loop().create_future()
        others = self._waiting.setdefault(name, set())
        others.add(future)
        try:
            await future
        finally:
            others.discard(future)
            if not others and self._waiting.get(name) is others:
                del self._waiting[name]

    def wake(self, name: bytes) -> None:
        for future in self._waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)
