"""Response counters and reports: a record of each answered request, for access logs and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from trickleweb.messages import RequestHead


class Answered(NamedTuple):
    """One request, when its response begins; times in microseconds, `began_us` since 1970.

    `head` is None where the input was no request, `body_bytes` where the length is unknown. `resumed`: another replica
    began the response, and this one resumes it.
    """

    head: RequestHead | None
    peer: str
    status: int
    body_bytes: int | None
    began_us: int
    took_us: int
    resumed: bool


Observe = Callable[[Answered], None]


class Observer:
    """Counts by status, and calls `observe` if given, whose errors fail no request."""

    def __init__(
        self, observe: Observe | None, clock_us: Callable[[], int], on_error: Callable[[Exception], None]
    ) -> None:
        self.observe = observe
        self.statuses: Counter[int] = Counter()
        self._clock_us = clock_us
        self._event_us = 0
        self._on_error = on_error

    def mark(self) -> None:
        """Note the time of an event, at which the next response begins."""
        if self.observe is not None:
            self._event_us = self._clock_us()

    def begun(self, head: RequestHead | None, peer: str, status: int, body_bytes: int | None) -> None:
        self.started(head, peer, status, body_bytes, self._event_us)

    def started(self, head: RequestHead | None, peer: str, status: int, body_bytes: int | None, began_us: int) -> None:
        self.statuses[status] += 1
        if self.observe is not None:
            self._report(head, peer, status, body_bytes, began_us, resumed=False)

    def resumed_now(self, peer: str) -> None:
        """Report a response of another replica, resumed at once."""
        self.resumed(peer, self._event_us)

    def resumed(self, peer: str, began_us: int) -> None:
        """Report that a response of another replica was resumed; its request is unknown."""
        if self.observe is not None:
            self._report(None, peer, 0, None, began_us, resumed=True)

    def _report(
        self, head: RequestHead | None, peer: str, status: int, body_bytes: int | None, began_us: int, *, resumed: bool
    ) -> None:
        assert self.observe is not None
        answered = Answered(
            head=head, peer=peer, status=status, body_bytes=body_bytes, began_us=began_us,
            took_us=max(self._clock_us() - began_us, 0), resumed=resumed,
        )  # fmt: skip
        try:
            self.observe(answered)
        except Exception as error:  # noqa: BLE001 - a failed log must not fail a request
            self._on_error(error)
