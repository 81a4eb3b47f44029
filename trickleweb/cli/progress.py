"""One line of a terminal that says how a download is doing, and which replica is at work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

_EVERY_SECONDS = 0.1
_BAR_CHARS = 24


def line(received_bytes: int, total_bytes: int | None, seconds: float, figures: dict[str, int | str]) -> str:
    """The line; `figures` are a connection's statistics, `total_bytes` is None where nobody knows it."""
    rate = f"{received_bytes / max(seconds, 1e-3) / 1e6:7.1f} MB/s"
    failovers = figures.get("failovers", 0)
    moved = f", failovers: {failovers}" if failovers else ""
    replica = f"replica {figures.get('replica', '?')}{moved}"
    if total_bytes is None:
        return f"{received_bytes / 1e6:10.1f} MB {rate}  {replica}"
    share = received_bytes / total_bytes if total_bytes else 1.0
    done = int(share * _BAR_CHARS)
    return f"[{'=' * done:{_BAR_CHARS}}] {share:4.0%} {received_bytes / 1e6:8.1f} MB {rate}  {replica}"


class Progress:
    """Rewrites its line a few times a second, and leaves the last one; says nothing if `out` is None."""

    def __init__(self, out: TextIO | None, total_bytes: int | None) -> None:
        self._out = out
        self._total_bytes = total_bytes
        self._begun = self._shown = time.monotonic()
        self._width = 0

    def update(self, received_bytes: int, figures: Callable[[], dict[str, int | str]], *, last: bool = False) -> None:
        """Show where things stand, if it is time to; only then are the figures asked for."""
        now = time.monotonic()
        if self._out is None or not (last or now - self._shown >= _EVERY_SECONDS):
            return
        self._shown = now
        text = line(received_bytes, self._total_bytes, now - self._begun, figures())
        self._out.write(f"\r{text:{self._width}}" + ("\n" if last else ""))
        self._out.flush()
        self._width = len(text)
