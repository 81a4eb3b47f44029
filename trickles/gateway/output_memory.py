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
READER_BYTES = 1 << 20  # a user that has read so much reads
_GROWTH_SHIFT = 2  # what a user has read is looked at again when it was given a quarter of its window
LEVEL_SHIFT = 5  # windows are worked out anew when what is free has changed by a 32nd or so
_TRIM_BYTES = 64 << 20  # so much of a fall is worth giving memory back to the system


@final
class OutputMemory:
    """The memory of one gateway; each connection has an `OutputShare` of it."""

    __slots__ = (
        "_highest_bytes",
        "bound_bytes",
        "free_bytes",
        "held_bytes",
        "high_bytes",
        "least_bytes",
        "level_bytes",
    )

    def __init__(self, limits: GatewayLimits) -> None:
        most = max(limits.most_connections, 1)
        self.least_bytes = max(min(limits.least_window_bytes, limits.output_bytes // (2 * most)), 2)
        self.high_bytes = min(limits.output_high_water, self.least_bytes // 2)  # of a transport's buffer
        self.bound_bytes = max(limits.output_bytes, self.least_bytes * most)
        self.free_bytes = self.bound_bytes - self.least_bytes * most
        self.level_bytes = self.free_bytes  # what the fractions are taken of: not above what is free
        self.held_bytes = 0  # by all connections together
        self._highest_bytes = 0  # since memory was last given back

    def move(self, held_bytes: int, above_bytes: int) -> None:
        """A connection holds so many more bytes, and so many of them above the least."""
        self.held_bytes = held = self.held_bytes + held_bytes
        self.free_bytes = free = self.free_bytes - above_bytes
        if held > self._highest_bytes:
            self._highest_bytes = held
        if not self.level_bytes <= free <= self.level_bytes + (self.bound_bytes >> LEVEL_SHIFT):
            self.level_bytes = max(free - (free >> LEVEL_SHIFT), 0)

    def has_fallen(self) -> bool:
        """Return True, once, when so much less is held than before that memory should go back to the system."""
        fallen = self._highest_bytes - self.held_bytes >= _TRIM_BYTES and self.held_bytes * 2 < self._highest_bytes
        if fallen:
            self._highest_bytes = self.held_bytes
        return fallen


@final
class OutputShare:
    """The bytes of one connection: those kept or asked for by its engine, and those in its transport.

    Its window is worked out anew when the level has changed, more was read, or it holds more than the window by now.
    """

    __slots__ = (
        *(
            "_above_bytes",
            "_engine_bytes",
            "_level_bytes",
            "_memory",
            "_read_bytes",
            "_transport_bytes",
            "_window_bytes",
        ),
        "look_at_bytes",
    )

    def __init__(self, memory: OutputMemory) -> None:
        self._memory = memory
        self._engine_bytes = 0
        self._transport_bytes = 0
        self._above_bytes = 0  # the least
        self._read_bytes = 0  # by the user
        self._window_bytes = 0  # of the engine, as it was last worked out
        self._level_bytes = -1  # from which that was; -1: it is to be worked out
        self.look_at_bytes = memory.least_bytes  # of output, when to look again at how much of it was read

    @property
    def is_stale(self) -> bool:
        """True when `window_bytes` may be another than last time, or is not kept to yet."""
        return self._level_bytes != self._memory.level_bytes or self._engine_bytes > self._window_bytes

    def window_bytes(self) -> int:
        """Return how much the engine may hold now: never nothing while the transport is not full."""
        memory = self._memory
        level = self._level_bytes = memory.level_bytes
        above = min(level >> READER_SHIFT, max(level >> STRANGER_SHIFT, self._read_bytes))
        self._window_bytes = max(memory.least_bytes + above - max(self._transport_bytes, memory.high_bytes), 0)
        return self._window_bytes

    def note_engine(self, engine_bytes: int) -> None:
        """The engine keeps so much, or has asked for it."""
        if engine_bytes != self._engine_bytes:
            self._note(engine_bytes, self._transport_bytes)

    def note_transport(self, transport_bytes: int) -> None:
        """The transport keeps so much; up to the high-water mark it need not be said, for that much is set aside."""
        self._level_bytes = -1
        self._note(self._engine_bytes, transport_bytes)

    def _note(self, engine_bytes: int, transport_bytes: int) -> None:
        memory, more_bytes = self._memory, engine_bytes + transport_bytes - self._engine_bytes - self._transport_bytes
        above = engine_bytes - memory.least_bytes
        above += transport_bytes if transport_bytes > memory.high_bytes else memory.high_bytes
        above = above if above > 0 else 0
        memory.move(more_bytes, above - self._above_bytes)
        self._engine_bytes, self._transport_bytes, self._above_bytes = engine_bytes, transport_bytes, above

    def note_read(self, output_bytes: int, unread_bytes: int) -> bool:
        """Of all output so far the user has not read so much; return True when that first shows that it reads."""
        before, self._read_bytes = self._read_bytes, max(output_bytes - unread_bytes, self._read_bytes)
        self.look_at_bytes = output_bytes + (max(self._read_bytes, self._memory.least_bytes) >> _GROWTH_SHIFT)
        self._level_bytes = -1
        return before < READER_BYTES <= self._read_bytes

    def release(self) -> None:
        """The connection is over: nothing is kept."""
        self._note(0, 0)
