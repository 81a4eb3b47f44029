"""Answers of a moment ago, by the exact bytes of their request: what is asked again and again costs next to nothing.

An answer is given again for some milliseconds only, and within its second, so that its Date is right and a file that
was replaced is noticed at once, as people count. The bytes are those that the site promised, by their content's hash.
"""

from __future__ import annotations

from collections.abc import Callable

from trickleweb.files.recent import Recent
from trickleweb.origin.given import Given
from trickleweb.origin.planning import Made
from trickleweb.origin.response import Read

STEADY_NS = 10_000_000
MAX_REQUEST_BYTES = 2048
_SECOND_NS = 1_000_000_000
_REMEMBERED_BYTES = 8 << 20
_OVERHEAD_BYTES = 1500  # of one answer in it


class Repeats:
    """A bounded memory that may be dropped at any time. For sites whose equal requests may get equal answers."""

    def __init__(self, clock_ns: Callable[[], int], steady_ns: int = STEADY_NS) -> None:
        self.now_ns = clock_ns
        self._steady_ns = steady_ns
        self._answers: Recent[bytes, tuple[int, Made]] = Recent(_REMEMBERED_BYTES)

    def clear(self) -> None:
        """Forget all."""
        self._answers.clear()

    def find(self, given: Given) -> Made | None:
        """What exactly this input was answered with a moment ago, as one request on a connection that goes on."""
        return None if given.ended or given.size_bytes > len(given.first) else self.recall(given.first)

    def recall(self, request: bytes) -> Made | None:
        """What these bytes were answered with a moment ago."""
        known = self._answers.get(request)
        return None if known is None or known[0] <= self.now_ns() else known[1]

    def note(self, given: Given, asked_ns: int, made: Made, read: Read) -> Made:
        """Remember the answer to this input, one request, that was put to the site at `asked_ns`; it comes back.

        Its bytes are gathered, if they are few; raises what `read` raises.
        """
        until = min(asked_ns + self._steady_ns, (asked_ns // _SECOND_NS + 1) * _SECOND_NS)
        if until > asked_ns and given.size_bytes <= MAX_REQUEST_BYTES and given.first.startswith((b"GET ", b"HEAD ")):
            made = made._replace(response=made.response.gathered(read))
            size = given.size_bytes + made.response.inline_bytes + len(made.response.whole or b"")
            self._answers.put(given.first, (until, made), size + _OVERHEAD_BYTES)
        return made


FORGETFUL = Repeats(lambda: 0, 0)
