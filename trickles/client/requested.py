"""Output ranges to ask for: lost ones first, then new ones, as far as buffer and continuations reach."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from trickles.ranges import Range, RangeSet
from trickles.wire.response import UserFrame

MOST_LOST = 1024  # ranges to ask for again; more are merged into one, with the gaps between them
_START = attrgetter("start")


class Selection(NamedTuple):
    """Ranges for one request, the user continuation that covers them all, and the packets that they fill."""

    wants: tuple[Range, ...]
    user: bytes
    packets: int
    extends: bool = False  # they lie above the continuation's range: the answer brings the next one


class Requested:
    """The user continuations of a client: at most one for each output range, the newest wins."""

    def __init__(self, most_frames: int = 1 << 62) -> None:
        self.frames: list[UserFrame] = []  # by start, disjoint
        self._most_frames = most_frames
        self.asked = 0  # everything below was asked for at least once
        self.extending = False  # a request for output above the newest continuation is under way
        self._lost = RangeSet()

    @property
    def newest(self) -> UserFrame | None:
        """The continuation that covers the most input."""
        return self.frames[-1] if self.frames else None

    @property
    def tail(self) -> int | None:
        """Offset where the output of the next input will begin, or None while that is not known."""
        if not self.frames:
            return 0
        _, stop, _, _, more = self.frames[-1]
        return None if more else stop

    @property
    def edge(self) -> int | None:
        """Offset where the newest continuation's range ends, or None while that is not known."""
        return self.frames[-1].stop if self.frames else 0

    def learn(self, frame: UserFrame, *, conversion: bool, under: bytes = b"") -> bool:
        """Take a user continuation that answers a request `under` another one; return True if it stands then.

        A `conversion` (a request with input, or for output above the newest continuation) that was answered twice, by a
        repeat or a probe, has two answers that may differ: the first one stands. It may be renewed by a continuation
        derived from it, not by another answer to the same request.
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
        """Add the newest; return False when there are too many: its range is asked for again later."""
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
        """Continue with these continuations and all output below `offset`; nothing above was asked for."""
        self.frames, self.asked = frames, offset

    def ask_up_to(self, offset: int) -> None:
        self.asked = offset

    def ask_again_from(self, offset: int) -> None:
        """Ask again for output from `offset` on, whose continuation is not known."""
        self.asked = min(self.asked, offset)

    def extension_over(self) -> None:
        """Note that the request for output above the newest continuation is over."""
        self.extending = False

    def forget_below(self, offset: int) -> None:
        """Drop continuations that end below `offset`, except the newest: all output below has arrived.

        It need not have been asked for: an answer may arrive after its request was given up.
        """
        frames = self.frames
        self._lost.discard_below(offset)
        if offset > self.asked:
            self.asked = offset
        while len(frames) > 1 and (stop := frames[0].stop) is not None and stop <= offset:
            del frames[0]

    def lost(self, ranges: list[Range]) -> None:
        if not ranges:
            return
        for start, stop in ranges if len(ranges) <= MOST_LOST else [(ranges[0][0], ranges[-1][1])]:
            self._lost.add(start, stop)
        if len(self._lost) > MOST_LOST:
            first, last = self._lost.span
            self._lost.add(first, last)

    @property
    def largest_blob(self) -> int:
        if len(self.frames) == 1:  # as on most connections
            return len(self.frames[0].blob)
        return max((len(frame.blob) for frame in self.frames), default=0)

    def any_below(self, limit: int) -> bool:
        """Return True when there is output to ask for below offset `limit`."""
        if self.asked < limit and self._covering(self.asked) is not None:
            return True
        return bool(self._lost) and any(start < limit and self._covering(start) is not None for start, _ in self._lost)

    def select(
        self, packets: int, room: int, limit: int, most: int, *, reserve: int = 0, take: bool = True
    ) -> Selection:
        """Return up to `most` ranges for `packets` packets of `room` bytes, all below `limit`, under one continuation.

        A packet holds bytes of one range only. `reserve` bytes of the first packets are not available.
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
