"""The input stream on its way to the service: what was written, what lies in the spool, what was consumed.

Offsets count from the connection's start: consumed <= held <= written. [consumed, held) lies in the spool, for which
there are receipts; [held, written) waits here. What lies in the spool is kept here too, as long as it is little enough:
a spool may lose it, and then it has to be sent again. `_base` is the first byte in memory: either `consumed`, and all
can be sent again, or `held`, and what was dropped between the two cannot.
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
    end_told: bool
    loss_told: bool
    lost: str
    data: bytes

    @property
    def written(self) -> int:
        """The offset after the last byte written."""
        return self.base + len(self.data)


class InputQueue:
    """All input that the service has not consumed; at most `kept_bytes` of what the spool holds are kept for it."""

    def __init__(self, kept_bytes: int = 0) -> None:
        self.written = 0  # the offset after the last byte written
        self.consumed = 0  # everything below was consumed by the service
        self.held = 0  # everything below is held by the spool
        self.in_flight = False
        self.ended = False
        self._end_told = False
        self.lost = ""  # why input that the service has not consumed can never reach it
        self._loss_told = False
        self._kept_bytes = kept_bytes
        self._base = 0
        self._data = bytearray()
        self._offered = -1  # the service has seen the input up to here and left what it did not consume

    def __len__(self) -> int:
        """Bytes that wait here."""
        return self.written - self.held

    def write(self, data: bytes) -> None:
        """Append input."""
        self._data += data
        self.written += len(data)

    def end(self) -> None:
        """Nothing follows what was written."""
        self.ended = True

    def early(self) -> tuple[bytes, bool]:
        """All input so far, and whether it ends, for the handshake."""
        return bytes(self._data), self.ended

    def peek(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of what is in memory."""
        return bytes(self._data[start - self._base : stop - self._base])

    def note_held(self, offset: int) -> None:
        """Bytes below `offset` lie in the spool."""
        self.held = max(self.held, offset)
        if self.held - self.consumed > self._kept_bytes or self._base > self.consumed:
            self._forget_below(self.held)

    def rewind(self) -> bool:
        """Take it that the spool holds nothing: all is to be sent again; False when it is not all here any more."""
        if self._base > self.consumed:
            return False
        self.held = self.consumed
        self._offered = -1
        return True

    def note_consumed(self, offset: int) -> None:
        """The service has consumed everything below `offset`."""
        if offset > self.consumed:
            self.consumed = offset
            self.held = max(self.held, offset)
            self._forget_below(offset)

    def _forget_below(self, offset: int) -> None:
        if offset > self._base:
            del self._data[: offset - self._base]
            self._base = offset

    def state(self) -> InputState:
        """All there is to the queue, while no request is under way."""
        marks = self.ended, self._end_told, self._loss_told
        return InputState(self._base, self.consumed, self.held, self._offered, *marks, self.lost, bytes(self._data))

    def restore(self, state: InputState) -> None:
        """Go on with that queue."""
        self._base, self.consumed, self.held, self._offered, *marks, self.lost, data = state
        self.ended, self._end_told, self._loss_told = marks
        self._data, self.written = bytearray(data), state.written

    def on_sent(self) -> None:
        """A request that brings input is under way."""
        self.in_flight = True

    def on_over(self, request: InFlight) -> None:
        """A request that brought input is over: settle what became of it."""
        self.in_flight = False
        seen, ends = request.answered and not request.lost, bool(request.flags & RequestFlag.INPUT_END)
        if request.flags & RequestFlag.INPUT_LOST:
            self._loss_told = self._loss_told or seen
        elif self.consumed > request.input_offset:  # the rest, if any, is due again, and the end with it
            self._end_told = self._end_told or (ends and self.consumed >= request.input_stop)
        elif seen and request.blob:  # what rode on the hello may have been left for a proved one
            self._offered = max(self._offered, request.input_stop)
            self._end_told = self._end_told or ends

    def is_due(self, available: int) -> bool:
        """True when there is something to tell the service that it has not seen: input, its end, or its loss."""
        if self.in_flight:
            return False
        if self.lost:
            return not self._loss_told
        fresh = available > self.consumed and available > self._offered
        return fresh or (self.ended and not self._end_told and available == self.written)

    def lose(self, why: str) -> None:
        """Nothing that the service has not consumed can reach it any more."""
        self.lost = self.lost or why
