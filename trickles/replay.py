"""What a listener remembers to make replays and double claims useless: fixed size, losable at any time."""

from __future__ import annotations

import struct
from collections import OrderedDict

from trickles.ranges import Range

_INDEXES = struct.Struct(">4I")
_BOTH = 0x11  # one position in both generations
_AGED = bytes((cell & 0x0F) << 4 for cell in range(256))  # the current generation becomes the previous one


class ReplayFilter:
    """Two rotating Bloom filters over authenticated request tags; a tag seen in either is a replay.

    The tag of an AEAD is already a good hash: its four words are the bit positions. Each generation serves one
    `period`; a tag is remembered for one to two periods, longer than a continuation lives. With 2^22 bits a
    false positive (a request dropped, recovered by the client's probe) stays below 1 in 10,000 up to 100,000 requests
    a period. Both filters lie in one array, so that one look finds a position in both: four positions a byte, the
    current generation in its low half and the previous one in its high half.
    """

    __slots__ = ("_cells", "_mask", "_period", "_rotates_at")

    def __init__(self, *, bits: int, period: int) -> None:
        if bits < 64 or bits & (bits - 1):
            raise ValueError("bits must be a power of two")
        self._mask = bits - 1
        self._period = period
        self._cells = bytearray(bits // 4)
        self._rotates_at: int | None = None

    def seen(self, tag: bytes, *, now: int) -> bool:
        """Remember the 16-byte tag; True when it was known already."""
        if self._rotates_at is None or now >= self._rotates_at:
            self._rotate(now)
        mask, cells = self._mask, self._cells
        first, second, third, fourth = _INDEXES.unpack(tag)  # no loop: this is a tenth of a small request
        first, second = first & mask, second & mask
        third, fourth = third & mask, fourth & mask
        a, b, c, d = first >> 2, second >> 2, third >> 2, fourth >> 2
        first &= 3
        second &= 3
        third &= 3
        fourth &= 3
        known = cells[a] >> first & cells[b] >> second & cells[c] >> third & cells[d] >> fourth & _BOTH
        cells[a] |= 1 << first
        cells[b] |= 1 << second
        cells[c] |= 1 << third
        cells[d] |= 1 << fourth
        return bool(known)

    def _rotate(self, now: int) -> None:
        if self._rotates_at is not None:
            late = now - self._rotates_at >= self._period
            self._cells = bytearray(len(self._cells)) if late else self._cells.translate(_AGED)
        self._rotates_at = now + self._period


class Claims:
    """Which packet numbers one connection has claimed here lately, and when it last did what it may do seldom."""

    MAX_RANGES = 16
    __slots__ = ("_paused_from", "_probed_at", "_ranges", "_restarted_at")

    def __init__(self) -> None:
        self._ranges: list[Range] = []  # ascending, apart from each other
        self._paused_from = -1  # issue time of the last continuation that a clean restart used up
        self._restarted_at = self._probed_at = -(1 << 62)

    def claim(self, start: int, stop: int) -> bool:
        """Note [start, stop); False when any of it was claimed before."""
        ranges = self._ranges
        top = ranges[-1][1] if ranges else -1
        if start == top:
            ranges[-1] = ranges[-1][0], stop
        elif start > top:
            ranges.append((start, stop))
        elif self.claimed(start, stop):
            return False
        else:
            self._insert(start, stop)
        if len(ranges) > self.MAX_RANGES:
            del ranges[0]
        return True

    def claimed(self, start: int, stop: int) -> bool:
        """True when any of [start, stop) was claimed here before."""
        ranges = self._ranges
        return bool(ranges) and start < ranges[-1][1] and any(a < stop and b > start for a, b in ranges)

    def release(self, start: int, stop: int) -> None:
        """Take a claim back that was not served, so that a repeat of it may be, the restart that it came with too."""
        self._paused_from, self._restarted_at = -1, -(1 << 62)
        cut = [part for a, b in self._ranges for part in ((a, min(b, start)), (max(a, stop), b))]
        self._ranges[:] = [(a, b) for a, b in cut if a < b]

    def _insert(self, start: int, stop: int) -> None:
        before = [(a, b) for a, b in self._ranges if b <= start]
        after = [(a, b) for a, b in self._ranges if a >= stop]
        if before and before[-1][1] == start:
            start = before.pop()[0]
        if after and after[0][0] == stop:
            stop = after.pop(0)[1]
        self._ranges[:] = [*before, (start, stop), *after]

    def may_probe(self, *, now: int, interval: int) -> bool:
        """True when the last answer to a repeat is at least `interval` ago."""
        if now - self._probed_at < interval:
            return False
        self._probed_at = now
        return True

    def may_pause(self, issued: int) -> bool:
        """True once per continuation, named by its time of issue: that is how often a clean restart may use it."""
        if self._paused_from == issued:
            return False
        self._paused_from = issued
        return True

    def may_restart(self, *, now: int, interval: int) -> bool:
        """True when the last restart after loss is at least `interval` ago."""
        if now - self._restarted_at < interval:
            return False
        self._restarted_at = now
        return True


class ClaimTable:
    """The claims of each connection: bounded, least recently used forgotten first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._claims: OrderedDict[bytes, Claims] = OrderedDict()

    def __len__(self) -> int:
        return len(self._claims)

    def clear(self) -> None:
        """Forget everything; a client gains no more than by opening another connection."""
        self._claims.clear()

    def of(self, connection: bytes) -> Claims:
        """What that connection has claimed; with nothing in it when it is new, or was forgotten."""
        claims = self._claims.get(connection)
        if claims is not None:
            self._claims.move_to_end(connection)
            return claims
        claims = self._claims[connection] = Claims()
        if len(self._claims) > self._capacity:
            self._claims.popitem(last=False)
        return claims

    def claim(self, connection: bytes, start: int, stop: int) -> bool:
        """As `Claims.claim` for that connection."""
        return self.of(connection).claim(start, stop)

    def release(self, connection: bytes, start: int, stop: int) -> None:
        """As `Claims.release` for that connection."""
        self.of(connection).release(start, stop)

    def may_restart(self, connection: bytes, *, now: int, interval: int) -> bool:
        """As `Claims.may_restart` for that connection."""
        return self.of(connection).may_restart(now=now, interval=interval)
