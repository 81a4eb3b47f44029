"""Memory for output that users have not read yet: all of it, of all connections, counted in one place.

A connection holds output in three places: in order and out of order in its engine, on its way (asked for, so that it
will arrive), and in the buffer of its transport. The sum over all connections stays below `output_bytes`, by dynamic
thresholds (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998): what one
may hold is a fraction of what is free at that moment. So no configuration of users has to be foreseen, and something
is always left for the next one.

- `least_bytes` belong to each connection that the table has room for, whatever the others do: at most half of it all.
  Nobody stands still for want of memory.
- What one holds above that comes out of `free_bytes`. A user that reads may hold an eighth of them, and one of whom
  that is not known yet a thousandth: as much again as it has read is kept for it, so that its window grows as fast as
  that of a connection in slow start. Bytes count as read once the user's kernel has acknowledged them.
- The fractions are of what is free now: windows shrink as the sum grows, and what is asked for next is less. What was
  asked for is never dropped.

Tried before: to fix the window when a connection begins, by the number of those that live. Two thousand that came one
after the other held four times the bound, and the first ones most of it.
"""

from __future__ import annotations

from typing import final

from trickles.gateway.limits import GatewayLimits

READER_SHIFT = 3  # a user that reads may hold an eighth of what is free: enough for the whole window of dozens
STRANGER_SHIFT = 10  # one that has not read yet a thousandth: 256 KiB of 256 MiB
_GROWTH_SHIFT = 2  # what a user has read is looked at again when it was given a quarter of its window
_TRIM_BYTES = 64 << 20  # so much of a fall is worth giving memory back to the system


@final
class OutputMemory:
    """The memory of one gateway; each connection has an `OutputShare` of it."""

    __slots__ = ("_highest_bytes", "bound_bytes", "free_bytes", "held_bytes", "high_bytes", "least_bytes")

    def __init__(self, limits: GatewayLimits) -> None:
        most = max(limits.most_connections, 1)
        self.least_bytes = max(min(limits.least_window_bytes, limits.output_bytes // (2 * most)), 2)
        self.high_bytes = min(limits.output_high_water, self.least_bytes // 2)  # of a transport's buffer
        self.bound_bytes = max(limits.output_bytes, self.least_bytes * most)
        self.free_bytes = self.bound_bytes - self.least_bytes * most
        self.held_bytes = 0  # by all connections together
        self._highest_bytes = 0  # since memory was last given back

    def move(self, held_bytes: int, above_bytes: int) -> None:
        """A connection holds so many more bytes, and so many of them above the least."""
        self.held_bytes += held_bytes
        self.free_bytes -= above_bytes
        self._highest_bytes = max(self._highest_bytes, self.held_bytes)

    def has_fallen(self) -> bool:
        """Return True, once, when so much less is held than before that memory should go back to the system."""
        fallen = self._highest_bytes - self.held_bytes >= _TRIM_BYTES and self.held_bytes * 2 < self._highest_bytes
        if fallen:
            self._highest_bytes = self.held_bytes
        return fallen


@final
class OutputShare:
    """The bytes of one connection: `engine_bytes` kept or asked for by its engine, and those in its transport."""

    __slots__ = ("_above_bytes", "_engine_bytes", "_look_at_bytes", "_memory", "_read_bytes", "_transport_bytes")

    def __init__(self, memory: OutputMemory) -> None:
        self._memory = memory
        self._engine_bytes = 0
        self._transport_bytes = 0
        self._above_bytes = 0  # the least
        self._read_bytes = 0  # by the user
        self._look_at_bytes = memory.least_bytes  # of output, when to look again at how much of it was read

    def window_bytes(self, engine_bytes: int) -> int:
        """Return what the engine may hold now, given what it does: never nothing while the transport is not full."""
        self.note_engine(engine_bytes)
        memory = self._memory
        free = max(memory.free_bytes, 0)
        above = min(free >> READER_SHIFT, max(free >> STRANGER_SHIFT, self._read_bytes))
        return max(memory.least_bytes + above - max(self._transport_bytes, memory.high_bytes), 0)

    def note_engine(self, engine_bytes: int) -> None:
        """The engine keeps so much, or has asked for it."""
        if engine_bytes != self._engine_bytes:
            self._note(engine_bytes, self._transport_bytes)

    def note_transport(self, transport_bytes: int) -> None:
        """The transport keeps so much; up to the high-water mark it need not be said, for that much is set aside."""
        self._note(self._engine_bytes, transport_bytes)

    def _note(self, engine_bytes: int, transport_bytes: int) -> None:
        memory = self._memory
        above = max(engine_bytes + max(transport_bytes, memory.high_bytes) - memory.least_bytes, 0)
        memory.move(
            engine_bytes + transport_bytes - self._engine_bytes - self._transport_bytes, above - self._above_bytes
        )
        self._engine_bytes, self._transport_bytes, self._above_bytes = engine_bytes, transport_bytes, above

    def is_due(self, output_bytes: int) -> bool:
        """Return True when it is time to look at how much was read of all output so far."""
        return output_bytes >= self._look_at_bytes

    def note_read(self, output_bytes: int, unread_bytes: int) -> None:
        """Of all output so far the user has not read so much."""
        self._read_bytes = max(output_bytes - unread_bytes, self._read_bytes)
        self._look_at_bytes = output_bytes + (max(self._read_bytes, self._memory.least_bytes) >> _GROWTH_SHIFT)

    def release(self) -> None:
        """The connection is over: nothing is kept."""
        self._note(0, 0)
