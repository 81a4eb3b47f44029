"""Memory for output that users have not read, counted over all connections.

A connection holds output in three places: in its engine, in flight (asked for, so that it will arrive), and in the
buffer of its transport. The sum over all connections stays below `output_bytes`, by dynamic thresholds (Choudhury and
Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998): one may hold a fraction of the memory
that is free at that moment. So no pattern of users has to be foreseen, and some memory is always left for the next one.

- `least_bytes` are reserved for each connection that the table has room for: at most half of the total. So no
  connection stalls for lack of memory.
- Bytes above that come out of `free_bytes`. A user that reads may hold an eighth of them, a new one a thousandth, or as
  much as it has read, so that its window grows as in slow start. Bytes count as read once the user's kernel has
  acknowledged them.
- The fractions are of the memory that is free now: windows shrink as the sum grows, and less is asked for. Output that
  was asked for is never dropped.

Tried and given up: a window fixed at the start of a connection, by the number of live ones. Two thousand that came one
after the other held four times the bound, and the first ones most of it.
"""

from __future__ import annotations

from typing import final

from trickles.gateway.limits import GatewayLimits

READER_SHIFT = 3  # a user that reads may hold an eighth of the free memory: the whole window of dozens
STRANGER_SHIFT = 10  # a new one a thousandth: 256 KiB of 256 MiB
READER_BYTES = 1 << 20  # read by a user that counts as reading
_GROWTH_SHIFT = 2  # reads are checked again after a quarter of a window
LEVEL_SHIFT = 5  # windows are computed again when the free memory has changed by about a 32nd
_TRIM_BYTES = 64 << 20  # a decrease worth giving memory back to the system


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
        self.level_bytes = self.free_bytes  # base of the fractions: at most the free memory
        self.held_bytes = 0  # by all connections together
        self._highest_bytes = 0  # since memory was last given back

    def move(self, held_bytes: int, above_bytes: int) -> None:
        """Count so many more bytes of a connection, and so many more above its least."""
        self.held_bytes = held = self.held_bytes + held_bytes
        self.free_bytes = free = self.free_bytes - above_bytes
        if held > self._highest_bytes:
            self._highest_bytes = held
        if not self.level_bytes <= free <= self.level_bytes + (self.bound_bytes >> LEVEL_SHIFT):
            self.level_bytes = max(free - (free >> LEVEL_SHIFT), 0)

    def has_fallen(self) -> bool:
        """Return True, once, after a decrease that is worth giving memory back to the system."""
        fallen = self._highest_bytes - self.held_bytes >= _TRIM_BYTES and self.held_bytes * 2 < self._highest_bytes
        if fallen:
            self._highest_bytes = self.held_bytes
        return fallen


@final
class OutputShare:
    """The bytes of one connection: kept or asked for by its engine, and in its transport.

    Its window is computed again when the level has changed, more was read, or it holds more than the window.
    """

    __slots__ = (
        "_above_bytes",
        "_engine_bytes",
        "_level_bytes",
        "_memory",
        "_read_bytes",
        "_transport_bytes",
        "_window_bytes",
        "look_at_bytes",
    )

    def __init__(self, memory: OutputMemory) -> None:
        self._memory = memory
        self._engine_bytes = 0
        self._transport_bytes = 0
        self._above_bytes = 0  # above the least
        self._read_bytes = 0  # by the user
        self._window_bytes = 0  # of the engine, as last computed
        self._level_bytes = -1  # its base; -1: compute it again
        self.look_at_bytes = memory.least_bytes  # of output, when to check again how much of it was read

    @property
    def is_stale(self) -> bool:
        """True when `window_bytes` may have changed, or is exceeded."""
        return self._level_bytes != self._memory.level_bytes or self._engine_bytes > self._window_bytes

    def window_bytes(self) -> int:
        """Return how much the engine may hold now: more than 0 while the transport is not full."""
        memory = self._memory
        level = self._level_bytes = memory.level_bytes
        above = min(level >> READER_SHIFT, max(level >> STRANGER_SHIFT, self._read_bytes))
        self._window_bytes = max(memory.least_bytes + above - max(self._transport_bytes, memory.high_bytes), 0)
        return self._window_bytes

    def note_engine(self, engine_bytes: int) -> None:
        if engine_bytes != self._engine_bytes:
            self._note(engine_bytes, self._transport_bytes)

    def note_transport(self, transport_bytes: int) -> None:
        """Note the bytes in the transport; those below its high-water mark are reserved and need no note."""
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
        """Note how much of all output the user has not read; return True when it first counts as reading."""
        before, self._read_bytes = self._read_bytes, max(output_bytes - unread_bytes, self._read_bytes)
        self.look_at_bytes = output_bytes + (max(self._read_bytes, self._memory.least_bytes) >> _GROWTH_SHIFT)
        self._level_bytes = -1
        return before < READER_BYTES <= self._read_bytes

    def release(self) -> None:
        self._note(0, 0)
