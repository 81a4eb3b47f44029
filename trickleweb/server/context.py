"""Values that the parts of one HTTP service share: the fleet's resources, the observer of responses for access logs
and metrics, bounds, callbacks and caches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from trickleweb.cache import LruCache
from trickleweb.messages import RequestHead
from trickleweb.server.fixed import FixedResponse, Read
from trickleweb.server.limits import ServiceLimits
from trickleweb.server.repeats import Repeats

if TYPE_CHECKING:  # a replica of files starts sooner without them
    from trickles.keyring import Keyring
    from trickleweb.ledger import Ledger
    from trickleweb.response_store import Pages, ResponseStore


@dataclass(frozen=True, slots=True)
class FleetResources:
    """The keyring and the stores that all replicas of an application share, and a source of entropy."""

    ring: Callable[[], Keyring]
    ledger: Ledger
    responses: ResponseStore
    pages: Pages
    entropy: Callable[[int], bytes]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """The bounds and callbacks of a service, and its cache of fixed responses by their tokens."""

    limits: ServiceLimits
    clock_us: Callable[[], int]  # microseconds since 1970
    observer: Observer
    read: Read
    repeats: Repeats | None  # for plans that are equal for equal requests
    report: Callable[[Exception], None]
    responses: LruCache[bytes, FixedResponse]

    def now_s(self) -> int:
        """Return seconds since 1970."""
        return self.clock_us() // 1_000_000

    def remember(self, token: bytes, response: FixedResponse) -> FixedResponse:
        """Cache a fixed response and return it."""
        if self.responses.get(token) is None:
            self.responses.put(token, response, response.weight)
        return response
