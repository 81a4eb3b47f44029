"""The live responses of a replica: so many, so many bytes, and none for long that nobody asks for."""

from __future__ import annotations

import asyncio

from trickleweb.origin.program.bounds import MOST_IDLE_SECONDS, MOST_LIVE, MOST_LIVE_BYTES
from trickleweb.origin.program.live import Live
from trickleweb.origin.program.production import LEAST_BYTES
from trickleweb.origin.program.taking import Where

_SWEEP_S = 15.0
_CLOSING_S = 1.0  # for what is in a thread


class Lives:
    """By connection and the input offset behind the request; what leaves is closed, and can be made anew.

    Those that requests wait for leave last.
    """

    def __init__(self, most: int = MOST_LIVE, most_bytes: int = MOST_LIVE_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._lives: dict[Where, Live] = {}  # the longest unused first
        self._used_at: dict[Where, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._lives)

    def get(self, where: Where) -> Live | None:
        """The live response there, used now."""
        live = self._lives.pop(where, None)
        if live is not None:
            self._lives[where] = live
            self._used_at[where] = asyncio.get_running_loop().time()
        return live

    def put(self, where: Where, live: Live) -> None:
        """Keep one; others leave where that takes too much."""
        self.drop(where)
        self._lives[where] = live
        live.production.room = self._room
        loop = asyncio.get_running_loop()
        self._used_at[where] = loop.time()
        self._trim()
        if self._timer is None:
            self._timer = loop.call_later(_SWEEP_S, self._sweep)

    def drop(self, where: Where) -> None:
        """Close one, if it is there."""
        live = self._lives.pop(where, None)
        if live is not None:
            del self._used_at[where]
            live.production.close()

    def clear(self) -> None:
        """Close all."""
        for where in list(self._lives):
            self.drop(where)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Close all and wait for the end of it; not for long."""
        lives = list(self._lives.values())
        self.clear()
        ends = [asyncio.ensure_future(live.production.wait_closed()) for live in lives]
        if ends:
            await asyncio.wait(ends, timeout=_CLOSING_S)

    def _room(self) -> int:
        """How many bytes each may keep."""
        return max(self._most_bytes // max(len(self._lives), 1), LEAST_BYTES)

    def _trim(self) -> None:
        kept = sum(live.production.tape.kept_bytes for live in self._lives.values()) if len(self._lives) > 1 else 0
        if len(self._lives) <= self._most and kept <= self._most_bytes:
            return
        for where in sorted(list(self._lives)[:-1], key=lambda where: self._lives[where].parked > 0):
            if len(self._lives) <= self._most and kept <= self._most_bytes:
                return
            kept -= self._lives[where].production.tape.kept_bytes
            self.drop(where)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            for where in [each for each, at in self._used_at.items() if at < loop.time() - MOST_IDLE_SECONDS]:
                self.drop(where)
        finally:  # whatever closing one raises, the others are looked at again
            self._timer = loop.call_later(_SWEEP_S, self._sweep) if self._lives else None
