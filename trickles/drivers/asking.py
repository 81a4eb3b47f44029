"""One timer for the questions of all connections of this process to a fleet (`trickles.client.liveness`)."""

from __future__ import annotations

import asyncio

from trickles.client.liveness import Liveness
from trickles.drivers.world import monotonic_us


class AskingTimer:
    """Calls a `Liveness` when it is due, on the loop that is running then; without anything at work it rests."""

    def __init__(self) -> None:
        self.liveness = Liveness(self._arm)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0

    def close(self) -> None:
        """Cancel the timer; a later `arm` sets it again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, due: int) -> None:
        """Be called at `due`, or earlier."""
        if self._timer is not None and self._timer_at <= due:
            return
        self.close()
        self._timer_at = due
        delay = max(due - monotonic_us(), 0) / 1e6
        self._timer = asyncio.get_running_loop().call_later(delay, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.liveness.on_time(monotonic_us())
