"""The input stream: bytes that wait here, lie in the spool, or were consumed by the service.

Offsets count from the connection's start: consumed <= held <= written. [consumed, held) lies in the spool, proved by
receipts; [held, written) waits here. Spooled input is kept here too if it is short enough, since a spool may lose it.
`_base` is the first byte in memory: either `consumed`, and all can be sent again, or `held`, and bytes dropped between
the two cannot.
"""

from __future__ import annotations

from typing import NamedTuple

from trickles.client.requests import InFlight
from trickles.wire.kinds import RequestFlag


class InputState(NamedTuple):
    """An InputQueue as a value."""

    base: int
    consumed: int
    held: int
    offered: int
    ended: bool
    end_seen: bool
    loss_seen: bool
    lost: str
    data: bytes

    @property
    def written(self) -> int:
        """Offset after the last byte written."""
        return self.base + len(self.data)


class InputQueue:
    """All input that the service has not consumed; at most `kept_bytes` of spooled input are kept."""

    def __init__(self, kept_bytes: int = 0) -> None:
        self.written = 0  # the offset after the last byte written
        self.consumed = 0  # everything below was consumed by the service
        self.held = 0  # everything below is held by the spool
        self.in_flight = False
        self.ended = False
        self._end_seen = False
        self.lost = ""  # the reason, if unconsumed input can never reach the service
        self._loss_seen = False
        self._kept_bytes = kept_bytes
        self._base = 0
        self._data = bytearray()
        self._offered = -1  # the service has seen the input up to here, and consumed some of it

    def __len__(self) -> int:
        return self.written - self.held

    def write(self, data: bytes) -> None:
        self._data += data
        self.written += len(data)

    def end(self) -> None:
        self.ended = True

    def early(self) -> tuple[bytes, bool]:
        """Return all input so far, and whether it ends, for the handshake."""
        return bytes(self._data), self.ended

    def peek(self, start: int, stop: int) -> bytes:
        return bytes(self._data[start - self._base : stop - self._base])

    def note_held(self, offset: int) -> None:
        self.held = max(self.held, offset)
        if self.held - self.consumed > self._kept_bytes or self._base > self.consumed:
            self._forget_below(self.held)

    def rewind(self) -> bool:
        """Treat the spool as empty, so that all is sent again; return False when some of it is not here any more."""
        if self._base > self.consumed:
            return False
        self.held = self.consumed
        self._offered = -1
        return True

    def note_consumed(self, offset: int) -> None:
        if offset > self.consumed:
            self.consumed = offset
            self.held = max(self.held, offset)
            self._forget_below(offset)

    def _forget_below(self, offset: int) -> None:
        if offset > self._base:
            del self._data[: offset - self._base]
            self._base = offset

    def state(self) -> InputState:
        """Return the queue as a value, while no request is under way."""
        marks = self.ended, self._end_seen, self._loss_seen
        return InputState(self._base, self.consumed, self.held, self._offered, *marks, self.lost, bytes(self._data))

    def restore(self, state: InputState) -> None:
        self._base, self.consumed, self.held, self._offered, *marks, self.lost, data = state
        self.ended, self._end_seen, self._loss_seen = marks
        self._data, self.written = bytearray(data), state.written

    def on_sent(self) -> None:
        self.in_flight = True

    def on_over(self, request: InFlight) -> None:
        self.in_flight = False
        seen, ends = request.answered and not request.lost, bool(request.flags & RequestFlag.INPUT_END)
        if request.flags & RequestFlag.INPUT_LOST:
            self._loss_seen = self._loss_seen or seen
        elif self.consumed > request.input_offset:  # the rest, if any, is due again, and the end with it
            self._end_seen = self._end_seen or (ends and self.consumed >= request.input_stop)
        elif seen and request.blob:  # early input may have been left for a validated address
            self._offered = max(self._offered, request.input_stop)
            self._end_seen = self._end_seen or ends

    def is_due(self, available: int) -> bool:
        """Return True when there is something that the service has not seen: input, its end, or its loss."""
        if self.in_flight:
            return False
        if self.lost:
            return not self._loss_seen
        fresh = available > self.consumed and available > self._offered
        return fresh or (self.ended and not self._end_seen and available == self.written)

    def lose(self, why: str) -> None:
        self.lost = self.lost or why
