"""The live connections of a gateway: admission, timeouts of idle ones and slow requests, eviction of the most idle."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from trickles.gateway.limits import GatewayLimits


class Member(Protocol):
    """A connection that a gateway may have to end."""

    @property
    def client(self) -> str: ...  # the user's host address
    @property
    def idle(self) -> bool: ...  # nothing is known to be under way in either direction
    @property
    def held_back(self) -> bool: ...  # not read from, or not reading
    def stop(self, reason: str) -> None: ...  # end it: the user sees a reset where something was under way
    def end_input(self) -> None: ...  # take no more from the user: the server decides what that means


@dataclass(slots=True)
class _Request:
    """Input since output last came."""

    since: float
    size_bytes: int


class ConnectionTable:
    """The live connections, in the order of their last activity.

    A request counts as complete when its answer begins, since a gateway sees bytes, not messages. A sweep visits the
    ends of two queues only, so that idle connections cost nothing.
    """

    def __init__(self, limits: GatewayLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._idle_timeout = limits.idle_timeout
        self._moved_at: dict[Member, float] = {}  # ordered by time
        self._requests: dict[Member, _Request] = {}  # without an answer so far, ordered by `since`
        self._of_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._moved_at)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._moved_at)

    def refusal(self, client: str) -> str | None:
        """Return why another connection of that address is refused, or None; the most idle one may be ended for it."""
        limits = self._limits
        if limits.most_per_client and self._of_client[client] >= limits.most_per_client:
            return "too many connections of one client"
        if len(self) < limits.most_connections:
            return None
        member, moved_at = next(iter(self._moved_at.items()))
        if self._clock() - moved_at < limits.still_after:
            return "too many connections"
        self.leave(member)
        member.stop("made room")
        return None

    def join(self, member: Member) -> None:
        self._moved_at[member] = self._clock()
        self._of_client[member.client] += 1

    def leave(self, member: Member) -> None:
        if self._moved_at.pop(member, None) is not None:
            self._requests.pop(member, None)
            self._of_client[member.client] -= 1
            if not self._of_client[member.client]:
                del self._of_client[member.client]

    def on_input(self, member: Member, size_bytes: int) -> None:
        now = self.touch(member)
        request = self._requests.get(member)
        if request is None:
            self._requests[member] = _Request(now, size_bytes)
        else:
            request.size_bytes += size_bytes

    def on_output(self, member: Member, *, more: bool) -> None:
        """Note output; with `more` another request waits already."""
        now = self.touch(member)
        self._requests.pop(member, None)
        if more:
            self._requests[member] = _Request(now, 0)

    def touch(self, member: Member) -> float:
        now = self._clock()
        if self._moved_at.pop(member, None) is not None:  # else it was removed
            self._moved_at[member] = now
        return now

    def wind_down(self) -> None:
        """Close idle connections sooner, since no more will join."""
        self._idle_timeout = min(self._idle_timeout or self._limits.leave_idle, self._limits.leave_idle)

    def sweep(self) -> None:
        """End the input of slow requests, and connections that have been idle for too long."""
        now, limits = self._clock(), self._limits
        if limits.request_timeout:
            self._sweep_requests(now)
        if self._idle_timeout:
            late = now - self._idle_timeout
            still = list(takewhile(lambda each: each[1] <= late, self._moved_at.items()))
            for member, _ in still:
                if member.idle:
                    member.stop("idle")

    def _sweep_requests(self, now: float) -> None:
        timeout = self._limits.request_timeout
        least_bytes, late = self._limits.least_bytes_per_second * timeout, now - timeout
        for member, request in list(takewhile(lambda each: each[1].since <= late, self._requests.items())):
            del self._requests[member]
            if request.size_bytes >= least_bytes or member.held_back:
                self._requests[member] = _Request(now, 0)
            else:
                member.end_input()
