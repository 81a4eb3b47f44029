"""Work that must go on: a task or thread that ends by an exception is reported, counted, and begun again."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable

from trickles.drivers import bookkeeping

FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0  # seconds before work is begun again, longer each time it fails soon
STEADY = 10.0  # seconds of work after which the next pause is short again


def pause(failures: int, first: float = FIRST_PAUSE) -> float:
    """Return the seconds before the next attempt, after so many failures in a row."""
    return min(first * 2 ** min(failures - 1, 16), LAST_PAUSE) if failures else 0.0


async def kept_going(
    name: str,
    work: Callable[[], Awaitable[object]],
    report: Callable[[str], None],
    *,
    first_pause: float = FIRST_PAUSE,
) -> None:
    """Do the work, again after each failure, until it returns or this is cancelled."""
    import asyncio  # a replica in a blocking loop starts sooner without it

    failures = _Failures(name, report, first_pause)
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the work must go on
            await asyncio.sleep(failures.after(error))
        else:
            return


def kept_thread(
    name: str, work: Callable[[], object], report: Callable[[str], None], *, first_pause: float = FIRST_PAUSE
) -> threading.Thread:
    """Start and return a daemon thread that does the work, again after each failure, until it returns."""
    failures = _Failures(name, report, first_pause)

    def run() -> None:
        while True:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the work must go on
                time.sleep(failures.after(error))
            else:
                return

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


class _Failures:
    """Counter of failures in a row."""

    def __init__(self, name: str, report: Callable[[str], None], first_pause: float) -> None:
        self._name = name
        self._report = report
        self._first_pause = first_pause
        self._row = 0
        self._begun = time.monotonic()

    def after(self, error: Exception) -> float:
        """Report a failure; return the seconds to wait before the work is begun again."""
        bookkeeping.failures[self._name] += 1
        now = time.monotonic()
        self._row = 1 if now - self._begun > STEADY else self._row + 1
        wait = pause(self._row, self._first_pause)
        self._begun = now + wait
        self._report(f"{self._name} failed, and is begun again: {type(error).__name__}: {error}")
        return wait
