"""Who is connected to a gateway, who of them stands still, and who has to go for it."""

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
    def client(self) -> str:
        """The program's host address."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way in either direction."""

    @property
    def held_back(self) -> bool:
        """Whether it is the gateway that keeps it from going on, or the program that does not read."""

    def stop(self, reason: str) -> None:
        """End it: the program sees a reset where something was under way."""

    def end_input(self) -> None:
        """Take no more from the program, as if it had closed its half: the server decides what that means."""


@dataclass(slots=True)
class _Request:
    """What a program has written since an answer last went on."""

    since: float
    size_bytes: int


class Crowd:
    """The live connections; the one that stood still for longest comes first.

    A request counts as complete when its answer begins, for a gateway sees bytes, not messages. All that is looked at
    regularly are the ends of two queues, so that connections without anything under way cost nothing.
    """

    def __init__(self, limits: GatewayLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._idle_timeout = limits.idle_timeout
        self._stirred: dict[Member, float] = {}  # when it last moved, in the order of that
        self._asking: dict[Member, _Request] = {}  # whose answer has not begun, in the order of `since`
        self._of_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._stirred)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._stirred)

    def refusal(self, client: str) -> str | None:
        """Why there is no room for one more from that address; who stood still for long is ended to make some."""
        limits = self._limits
        if limits.most_per_client and self._of_client[client] >= limits.most_per_client:
            return "too many connections of one client"
        if len(self) < limits.most_connections:
            return None
        member, stirred = next(iter(self._stirred.items()))
        if self._clock() - stirred < limits.still_after:
            return "too many connections"
        self.leave(member)
        member.stop("made room")
        return None

    def join(self, member: Member) -> None:
        """One more."""
        self._stirred[member] = self._clock()
        self._of_client[member.client] += 1

    def leave(self, member: Member) -> None:
        """One less; nothing happens to who has left before."""
        if self._stirred.pop(member, None) is not None:
            self._asking.pop(member, None)
            self._of_client[member.client] -= 1
            if not self._of_client[member.client]:
                del self._of_client[member.client]

    def asked(self, member: Member, size_bytes: int) -> None:
        """The program wrote something."""
        now = self.stirred(member)
        request = self._asking.get(member)
        if request is None:
            self._asking[member] = _Request(now, size_bytes)
        else:
            request.size_bytes += size_bytes

    def answered(self, member: Member, *, more: bool) -> None:
        """Something came for the program; `more` of its input than was answered is here already."""
        now = self.stirred(member)
        self._asking.pop(member, None)
        if more:
            self._asking[member] = _Request(now, 0)

    def stirred(self, member: Member) -> float:
        """It moved; returns when."""
        now = self._clock()
        if self._stirred.pop(member, None) is not None:  # else it has left
            self._stirred[member] = now
        return now

    def wind_down(self) -> None:
        """No more will join: do not wait long for those without anything under way."""
        self._idle_timeout = min(self._idle_timeout or self._limits.leave_idle, self._limits.leave_idle)

    def look(self) -> None:
        """End the input of requests that do not get on, and connections that have been idle for too long."""
        now, limits = self._clock(), self._limits
        if limits.request_timeout:
            self._look_at_requests(now)
        if self._idle_timeout:
            late = now - self._idle_timeout
            still = list(takewhile(lambda each: each[1] <= late, self._stirred.items()))
            for member, _ in still:
                if member.idle:
                    member.stop("idle")

    def _look_at_requests(self, now: float) -> None:
        timeout = self._limits.request_timeout
        least_bytes, late = self._limits.least_bytes_per_second * timeout, now - timeout
        for member, request in list(takewhile(lambda each: each[1].since <= late, self._asking.items())):
            del self._asking[member]
            if request.size_bytes >= least_bytes or member.held_back:
                self._asking[member] = _Request(now, 0)
            else:
                member.end_input()
