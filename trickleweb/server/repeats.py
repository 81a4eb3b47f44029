"""Cache of recent responses, by the exact bytes of their request: a repeat costs next to nothing.

An entry is valid for some milliseconds, within its second, so that its Date is right and a replaced file is noticed at
once in human terms. The bytes are those that the plan promised, by their content's hash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trickleweb.cache import LruCache
from trickleweb.messages import RequestHead
from trickleweb.server.fixed import Read, Sendable
from trickleweb.server.limits import OVERHEAD_BYTES
from trickleweb.server.window import InputWindow

STEADY_NS = 10_000_000
MAX_REQUEST_BYTES = 2048
_SECOND_NS = 1_000_000_000
_REMEMBERED_BYTES = 8 << 20


class Repeat(NamedTuple):
    """A reusable response, and the request that it answers."""

    made: Sendable
    head: RequestHead
    until_ns: int


class Repeats:
    """Bounded cache for plans that are equal for equal requests; it may be dropped at any time."""

    def __init__(self, clock_ns: Callable[[], int], steady_ns: int = STEADY_NS) -> None:
        self.now_ns = clock_ns
        self._steady_ns = steady_ns
        self._answers: LruCache[bytes, Repeat] = LruCache(_REMEMBERED_BYTES)

    def clear(self) -> None:
        self._answers.clear()

    def find(self, window: InputWindow) -> Repeat | None:
        """Return the recent response to exactly this input, one request on a persistent connection."""
        return None if window.ended or window.size_bytes > len(window.first) else self.recall(window.first)

    def recall(self, request: bytes) -> Repeat | None:
        """Return the recent response to these bytes."""
        known = self._answers.get(request)
        return None if known is None or known.until_ns <= self.now_ns() else known

    def note(self, window: InputWindow, asked_ns: int, made: Sendable, head: RequestHead, read: Read) -> Sendable:
        """Store and return the response to this input, one request, planned at `asked_ns`.

        A small response gets its bytes in memory; raise what `read` raises.
        """
        until = min(asked_ns + self._steady_ns, (asked_ns // _SECOND_NS + 1) * _SECOND_NS)
        first = window.first
        if until > asked_ns and window.size_bytes <= MAX_REQUEST_BYTES and first.startswith((b"GET ", b"HEAD ")):
            made = made._replace(response=made.response.gathered(read))
            size = window.size_bytes + made.response.inline_bytes + len(made.response.whole or b"")
            self._answers.put(first, Repeat(made, head, until), size + OVERHEAD_BYTES)
        return made
