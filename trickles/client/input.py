"""The input stream on its way to the service: what was written, what lies in the spool, what was consumed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """Input for one request: `data` itself, or a commit of spooled input up to `stop`."""

    offset: int
    stop: int
    data: bytes
    commit: bool
    ends: bool


class InputQueue:
    """Offsets count from the connection's start: consumed <= held <= written; [consumed, held) lies in the spool."""

    def __init__(self) -> None:
        self.consumed = 0  # everything below was consumed by the service
        self.held = 0  # the first byte still in memory
        self.in_flight = False
        self.ended = False
        self.end_told = False
        self._data = bytearray()
        self._offered = -1  # the service has seen the input up to here and left what it did not consume

    def __len__(self) -> int:
        return len(self._data)

    @property
    def written(self) -> int:
        """The offset behind the last byte written."""
        return self.held + len(self._data)

    def write(self, data: bytes) -> None:
        """Append input."""
        self._data += data

    def end(self) -> None:
        """Nothing follows what was written."""
        self.ended = True

    def early(self) -> tuple[bytes, bool]:
        """All input so far, and whether it ends, for the handshake."""
        return bytes(self._data), self.ended

    def peek(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of what is held."""
        return bytes(self._data[start - self.held : stop - self.held])

    def drop_below(self, offset: int) -> None:
        """Bytes below `offset` are safe elsewhere."""
        if offset > self.held:
            del self._data[: offset - self.held]
            self.held = offset

    def note_consumed(self, offset: int) -> None:
        """The service has consumed everything below `offset`."""
        self.consumed = max(self.consumed, offset)
        self.drop_below(offset)

    def is_due(self, available: int) -> bool:
        """True when input up to `available`, or the input's end, can be offered and the service has not seen it."""
        if self.in_flight:
            return False
        fresh = available > self.consumed and available > self._offered
        return fresh or (self.ended and not self.end_told and available == self.written)

    def note_seen(self, stop: int, *, ended: bool) -> None:
        """The service saw the input up to `stop`; what it left waits for more."""
        self._offered = max(self._offered, stop)
        self.end_told = self.end_told or ended
