"""Output ranges to ask for next: those lost first, then new ones, as far as buffer and continuations reach."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from trickles.ranges import Range, RangeSet
from trickles.wire.response import UserFrame

MOST_LOST = 1024  # ranges that are to be asked for again; more are taken for one, with what lies between them
_START = attrgetter("start")


class Selection(NamedTuple):
    """Ranges for one request, the user continuation that covers them all, and the packets that they fill."""

    wants: tuple[Range, ...]
    user: bytes
    packets: int
    extends: bool = False  # they lie beyond what the continuation covers: the answer brings the next one


class Requested:
    """The client's side of the user continuations: at most one per output range, newest wins."""

    def __init__(self, most_frames: int = 1 << 62) -> None:
        self.frames: list[UserFrame] = []  # by start, disjoint
        self._most_frames = most_frames
        self.asked = 0  # everything below was asked for at least once
        self.extending = False  # what lies beyond the newest continuation is being asked for
        self._lost = RangeSet()

    @property
    def newest(self) -> UserFrame | None:
        """The continuation that answers the most input."""
        return self.frames[-1] if self.frames else None

    @property
    def tail(self) -> int | None:
        """Where the output of the next input will begin, or None while that is not known."""
        if not self.frames:
            return 0
        _, stop, _, _, more = self.frames[-1]
        return None if more else stop

    @property
    def edge(self) -> int | None:
        """Where the newest continuation ends to cover, or None while that is not known."""
        return self.frames[-1].stop if self.frames else 0

    def learn(self, frame: UserFrame, *, conversion: bool, under: bytes = b"") -> bool:
        """Take a user continuation in, the answer to a request `under` one; True when it is the one that stands then.

        A `conversion` (of input, or of what lies beyond the newest continuation) that was answered twice (a repeated
        hello, a probe) has two answers that may differ: the first one stands. A continuation that stands may be
        renewed by what derives from itself, not by another answer to the same request.
        """
        newest = self.newest
        if newest is None or (frame.consumed, frame.start) > (newest.consumed, newest.start):
            return self._append(frame)
        if (frame.consumed, frame.start) != (newest.consumed, newest.start):
            return False
        if not conversion and under == newest.blob:
            self.frames[-1] = frame
        return frame.blob == self.frames[-1].blob

    def _append(self, frame: UserFrame) -> bool:
        """Add the newest; False when there are too many: what it vouches for is asked for again when some are done."""
        frames, (start, stop, _, _, _) = self.frames, frame
        if frames and frames[-1].start >= start:
            del frames[bisect_left(frames, start, key=_START) :]
        if len(frames) >= self._most_frames:
            return False
        if frames and ((end := frames[-1].stop) is None or end > start):
            frames[-1] = frames[-1]._replace(stop=start)
        frames.append(frame)
        if stop is not None and stop < self.asked:
            self.asked = stop
        return True

    def restore(self, frames: list[UserFrame], offset: int) -> None:
        """Go on with these continuations, all output below `offset` being there: nothing above was asked for."""
        self.frames, self.asked = frames, offset

    def ask_up_to(self, offset: int) -> None:
        """All below `offset` is asked for; above the tail nothing is known, so what was asked for there is no news."""
        self.asked = offset

    def ask_again_from(self, offset: int) -> None:
        """Ask again for output from `offset` on, of which it is not known to which continuation it belongs."""
        self.asked = min(self.asked, offset)

    def extension_over(self) -> None:
        """The request for what lies beyond the newest continuation is over."""
        self.extending = False

    def forget_below(self, offset: int) -> None:
        """All output below `offset` has arrived: continuations that end there are done, but for the newest.

        It need not have been asked for: an answer can come when its request has been given up.
        """
        frames = self.frames
        self._lost.discard_below(offset)
        if offset > self.asked:
            self.asked = offset
        while len(frames) > 1 and (stop := frames[0].stop) is not None and stop <= offset:
            del frames[0]

    def lost(self, ranges: list[Range]) -> None:
        """These ranges were asked for and will not come."""
        if not ranges:
            return
        for start, stop in ranges if len(ranges) <= MOST_LOST else [(ranges[0][0], ranges[-1][1])]:
            self._lost.add(start, stop)
        if len(self._lost) > MOST_LOST:
            first, last = self._lost.span
            self._lost.add(first, last)

    @property
    def largest_blob(self) -> int:
        """Bytes of the largest continuation that a request might carry."""
        if len(self.frames) == 1:  # as on most connections
            return len(self.frames[0].blob)
        return max((len(frame.blob) for frame in self.frames), default=0)

    def any_below(self, limit: int) -> bool:
        """True when there is something to ask for below output offset `limit`."""
        if self.asked < limit and self._covering(self.asked) is not None:
            return True
        return bool(self._lost) and any(start < limit and self._covering(start) is not None for start, _ in self._lost)

    def select(
        self, packets: int, room: int, limit: int, most: int, *, reserve: int = 0, take: bool = True
    ) -> Selection:
        """Up to `most` ranges for `packets` packets of `room` bytes, all below `limit` and under one continuation.

        A packet holds one range's bytes only. `reserve` bytes of the first packets are needed for something else.
        """
        chosen: list[Range] = []
        frame: UserFrame | None = None
        used, extends = 0, False
        for start, stop in chain(self._lost, [(self.asked, limit)]):
            if len(chosen) >= most or used >= packets:
                break
            if frame is None and (frame := self._covering(start)) is not None:
                extends = frame.stop is not None and start >= frame.stop
            if frame is None or start < frame.start:
                continue
            spare = (packets - used) * room - reserve
            stop = min(stop, start + spare, limit if frame.stop is None or extends else min(frame.stop, limit))
            if stop > start:
                chosen.append((start, stop))
                used += -(-(stop - start + reserve) // room)
                reserve = 0
        if take:
            for start, stop in chosen:
                self._lost.discard(start, stop)
                self.asked = max(self.asked, stop)
            self.extending = self.extending or (extends and bool(chosen))
        return Selection(tuple(chosen), frame.blob if frame and chosen else b"", used, extends)

    def _covering(self, offset: int) -> UserFrame | None:
        frames, found = self.frames, None
        if not frames:
            return None
        newest = frames[-1]
        if newest.start <= offset:
            found = newest
        elif at := bisect_right(frames, offset, key=_START):
            found = frames[at - 1]
        if found is not None and (found.stop is None or offset < found.stop):
            return found
        return newest if newest.more and not self.extending else None
