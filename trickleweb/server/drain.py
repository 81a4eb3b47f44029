"""The last seconds of a replica that was asked to end.

Safe requests need none: another replica goes on with them. An unsafe request runs at most once, so this replica lets
those that it runs go on, and stores and sends their responses. It begins nothing more, and refuses that by ENDING. It
still answers clients that ask whether it is at work, and other replicas find those requests pending in the ledger.

A drain is over once nothing runs, and the clients of the last responses are silent. Another replica would send them the
rest, but in a fleet that ends there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from trickleweb.server.errors import Ending

QUIET_S = 0.5  # without a request for a response to an unsafe one: a client asks again for a lost packet within 200 ms


class Drain:
    """State of the drain of a replica, and the time of the last part of a response to an unsafe request."""

    def __init__(self) -> None:
        self.begun = False
        self._sent_at: float | None = None

    def begin(self) -> None:
        self.begun = True

    def check(self) -> None:
        """Raise `Ending` if nothing more may begin."""
        if self.begun:
            raise Ending

    def sent(self) -> None:
        """Note that a part of a response to an unsafe request is sent now."""
        self._sent_at = asyncio.get_running_loop().time()

    async def over(self, running: Callable[[], Sequence[asyncio.Task[Any]]]) -> None:
        """Wait until nothing is running, and all was quiet after it."""
        loop = asyncio.get_running_loop()
        while True:
            if tasks := running():
                await asyncio.wait(tasks)
            elif self._sent_at is not None and (rest := self._sent_at + QUIET_S - loop.time()) > 0:
                await asyncio.sleep(rest)
            else:
                return
