"""Output: bytes in order, the user continuations that lead to more, and the end.

Two replies to one request may differ when it brings input, or asks for output above the newest continuation: a service
need not be deterministic. Of such a conversion one reply stands, the first whose continuation is taken, identified by
its salt; data of others is dropped. Copies from before the low half of the request number wrapped are recognised by
their packet numbers, which only rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from trickles.client.reassembly import Reassembly
from trickles.client.requested import Requested
from trickles.client.requests import InFlight
from trickles.limits import Limits
from trickles.service import Buffer
from trickles.wire.response import UserFrame

MOST_CONVERSIONS = 1024
SEALED_USER_BYTES = 64  # what sealing adds to a service's state


@dataclass(slots=True)
class Conversion:
    """A request that brings input, or asks for output above the newest continuation: one of its replies stands."""

    start: int  # its first packet number: one below it answers an earlier request with the same low half
    salt: bytes | None = None  # of the reply whose continuation stands

    def stand(self, salt: bytes) -> None:
        """Note that the continuation of the reply with that salt was taken; the first one stands."""
        self.salt = salt if self.salt is None else self.salt


class OutputState(NamedTuple):
    """An Output as a value: bytes taken out, bytes ready, the end, and the continuations."""

    taken: int
    ready: bytes
    end: int | None
    frames: tuple[UserFrame, ...]


class Output:
    """Owner of the output that arrived and of the continuations for the rest."""

    def __init__(self, limits: Limits) -> None:
        self._most_window = limits.receive_window_bytes
        self._most_blob = limits.max_user_continuation_bytes + SEALED_USER_BYTES
        self.arrived = Reassembly(limits.receive_window_bytes, limits.most_out_of_order)
        self.requested = Requested(limits.max_continuations)
        self.conversions: dict[int, Conversion] = {}  # by the low half of the request number
        self.end: int | None = None

    @property
    def limit(self) -> int:
        """Output offset up to which there is buffer space."""
        limit = self.arrived.limit
        return limit if self.end is None else min(limit, self.end)

    @property
    def held_bytes(self) -> int:
        """Bytes not taken out: those that arrived, and those asked for."""
        arrived, asked = self.arrived, self.requested.asked
        reach = arrived.next_offset
        if asked < reach or arrived.gaping:
            asked = max(asked, arrived.reach)
        return asked - reach + arrived.ready_bytes

    def resize(self, window_bytes: int) -> None:
        """Ask for at most `window_bytes` above what was taken out, and never for more than a receive window."""
        self.arrived.resize(min(window_bytes, self._most_window), self.requested.asked)

    @property
    def complete(self) -> bool:
        return self.end is not None and self.arrived.next_offset >= self.end

    @property
    def delivered(self) -> int:
        return self.arrived.next_offset - self.arrived.ready_bytes

    def on_sent(self, request: InFlight) -> None:
        """Remember a request that converts, and its first packet number."""
        number = request.newest & 0xFFFF
        self.conversions.pop(number, None)
        if request.converts:
            self.conversions[number] = Conversion(request.start)
            if len(self.conversions) > MOST_CONVERSIONS:
                del self.conversions[next(iter(self.conversions))]

    def conversion(self, number: int, packet: int) -> Conversion | None:
        """Return the conversion that this packet answers; None for copies from long ago."""
        found = self.conversions.get(number)
        return found if found is not None and packet >= found.start else None

    def learn(
        self, frame: UserFrame, salt: bytes, written: int, conversion: Conversion | None, under: bytes = b""
    ) -> bool | None:
        """Take a user continuation of the reply with that `salt`, to a request `under` another; False if it is unused.

        Return None for an invalid one: it consumed more than was `written`, covers nothing, or fits no request.
        """
        start, stop, consumed, blob, _ = frame
        if consumed > written or len(blob) > self._most_blob or (stop is not None and stop < start):
            return None
        if not self.requested.learn(frame, conversion=conversion is not None, under=under):
            return False
        if conversion is not None:
            conversion.stand(salt)
        return True

    def receive(self, conversion: Conversion | None, salt: bytes, offset: int, data: Buffer, *, ends: bool) -> int:
        """Take the data of a reply if that reply stands, and note the end of output; return the count of new bytes."""
        accepted = salt if conversion is None else conversion.salt
        stop = offset + len(data)
        fresh = self.arrived.add(offset, data) if accepted == salt else 0
        if ends and (accepted == salt or (accepted is None and stop == (self.requested.tail or 0))):
            self.end = stop
        return fresh

    def on_over(self, request: InFlight) -> None:
        """Ask again for what a request that is over wanted and did not bring."""
        requested, arrived = self.requested, self.arrived
        requested.forget_below(arrived.next_offset)
        if request.extends:
            requested.extension_over()
        edge = requested.edge
        bound = self.end if self.end is not None else edge
        for start, stop in request.wants:
            stop = stop if bound is None else min(stop, bound)
            if start < stop:
                requested.lost(arrived.missing(start, stop))
        if request.converts and edge is not None:  # bytes above the edge belong to no known continuation
            requested.ask_again_from(max(edge, arrived.next_offset))

    def state(self) -> OutputState:
        """Return the bytes in order and the continuations; bytes out of order will come again."""
        return OutputState(self.delivered, self.arrived.peek(), self.end, tuple(self.requested.frames))

    def restore(self, state: OutputState) -> None:
        self.arrived.restore(state.taken, state.ready)
        self.end = state.end
        self.requested.restore(list(state.frames), self.arrived.next_offset)
