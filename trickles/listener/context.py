"""The context that the parts of a listener share: its source of entropy, its bounds and its counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from trickles.limits import DEFAULT_LIMITS, Limits
from trickles.trace import Counters


@dataclass(frozen=True, slots=True)
class ListenerContext:
    """Shared by a listener's parts; `entropy` returns so many unpredictable bytes."""

    entropy: Callable[[int], bytes]
    limits: Limits = DEFAULT_LIMITS
    counters: Counters = field(default_factory=Counters)
