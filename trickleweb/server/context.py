"""Values that the parts of one HTTP service share: the fleet's resources, bounds, callbacks and caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trickleweb.cache import LruCache
from trickleweb.server.fixed import FixedResponse, Read
from trickleweb.server.limits import ServiceLimits
from trickleweb.server.observer import Observer
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
