"""What a listener remembers to make replays and double claims useless: fixed size, losable at any time."""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass

from trickles.ranges import RangeSet

_INDEXES = struct.Struct(">4I")


class ReplayFilter:
    """Two rotating Bloom filters over authenticated request tags; a tag seen in either is a replay.

    The tag of an AEAD is already a good hash: its four words are the bit positions. Each generation serves one
    `period`; a tag is remembered for one to two periods, longer than a continuation lives. With 2^22 bits a
    false positive (a request dropped, recovered by the client's probe) stays below 1 in 10,000 up to 100,000 requests
    a period.
    """

    __slots__ = ("_current", "_mask", "_period", "_previous", "_rotates_at")

    def __init__(self, *, bits: int, period: int) -> None:
        if bits < 64 or bits & (bits - 1):
            raise ValueError("bits must be a power of two")
        self._mask = bits - 1
        self._period = period
        self._current = bytearray(bits // 8)
        self._previous = bytearray(bits // 8)
        self._rotates_at: int | None = None

    def seen(self, tag: bytes, *, now: int) -> bool:
        """Remember the 16-byte tag; True when it was known already."""
        if self._rotates_at is None or now >= self._rotates_at:
            self._rotate(now)
        mask, current, previous = self._mask, self._current, self._previous
        fresh = stale = 0
        for word in _INDEXES.unpack(tag):
            index = word & mask
            bit = 1 << (index & 7)
            index >>= 3
            fresh += not current[index] & bit
            stale += not previous[index] & bit
            current[index] |= bit
        return fresh == 0 or stale == 0

    def _rotate(self, now: int) -> None:
        if self._rotates_at is not None:
            late = now - self._rotates_at >= self._period
            self._previous = bytearray(len(self._current)) if late else self._current
            self._current = bytearray(len(self._previous))
        self._rotates_at = now + self._period


@dataclass(slots=True)
class _Claims:
    ranges: RangeSet
    paused_from: int = -1  # issue time of the last continuation that a clean restart used up
    restarted_at: int = -(1 << 62)
    probed_at: int = -(1 << 62)


class ClaimTable:
    """Which packet numbers each connection has claimed here lately: bounded, least recently used forgotten first."""

    MAX_RANGES = 16

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._claims: OrderedDict[bytes, _Claims] = OrderedDict()

    def __len__(self) -> int:
        return len(self._claims)

    def clear(self) -> None:
        """Forget everything; a client gains no more than by opening another connection."""
        self._claims.clear()

    def claim(self, connection: bytes, start: int, stop: int) -> bool:
        """Note [start, stop); False when any of it was claimed before."""
        ranges = self._entry(connection).ranges
        if ranges.overlaps(start, stop):
            return False
        ranges.add(start, stop)
        if len(ranges) > self.MAX_RANGES:
            ranges.pop_first()
        return True

    def claimed(self, connection: bytes, start: int, stop: int) -> bool:
        """True when any of [start, stop) was claimed here before."""
        return self._entry(connection).ranges.overlaps(start, stop)

    def may_probe(self, connection: bytes, *, now: int, interval: int) -> bool:
        """True when the last answer to a repeat is at least `interval` ago."""
        entry = self._entry(connection)
        if now - entry.probed_at < interval:
            return False
        entry.probed_at = now
        return True

    def release(self, connection: bytes, start: int, stop: int) -> None:
        """Take a claim back that was not served, so that a repeat of it may be."""
        self._entry(connection).ranges.discard(start, stop)

    def may_pause(self, connection: bytes, issued: int) -> bool:
        """True once per continuation, named by its time of issue: that is how often a clean restart may use it."""
        entry = self._entry(connection)
        if entry.paused_from == issued:
            return False
        entry.paused_from = issued
        return True

    def may_restart(self, connection: bytes, *, now: int, interval: int) -> bool:
        """True when the last restart after loss is at least `interval` ago."""
        entry = self._entry(connection)
        if now - entry.restarted_at < interval:
            return False
        entry.restarted_at = now
        return True

    def _entry(self, connection: bytes) -> _Claims:
        entry = self._claims.get(connection)
        if entry is None:
            entry = self._claims[connection] = _Claims(RangeSet())
            if len(self._claims) > self._capacity:
                self._claims.popitem(last=False)
        else:
            self._claims.move_to_end(connection)
        return entry
