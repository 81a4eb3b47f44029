"""Event streams of programs as blocks: whole events, compared without comments, and comments, which are not compared.

A program's event stream comes in pieces of any size, and with heartbeats by the clock: two runs of it are never equal
byte for byte. Equal are their events. So a stream is cut into blocks at blank lines (HTML Standard 9.2.6); a block of
comments is sent as it is, cut to `MAX_COMMENT_BYTES`, and other blocks without the comments in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from trickleweb.errors import WebError
from trickleweb.server.tokens.positions import MAX_COMMENT_BYTES, MAX_ID_BYTES, EventPosition

MAX_BLOCK_BYTES = 1 << 20
_EOL = rb"(?:\r\n|\n|\r(?=[^\n]))"
_END = re.compile(_EOL + _EOL)
_COMMENT = re.compile(rb"(?m)^:[^\r\n]*(?:\r\n|\n|\r)")
_ID = re.compile(rb"(?:^|[\r\n])id: ?([^\r\n]*)")


class BlockTooLarge(WebError):
    """A program sent more bytes than a replica holds without a blank line."""


class Block(NamedTuple):
    """Bytes up to a blank line; `comment` if they are no event."""

    data: bytes
    comment: bool = False

    @property
    def id(self) -> bytes:
        """The event's id, b"" for none, or one that is too long to be kept."""
        found = _ID.findall(self.data)
        known = found[-1] if found else b""
        return b"" if len(known) > MAX_ID_BYTES or b"\0" in known else known


class EventBlocks:
    """Cuts a stream into blocks as it comes."""

    def __init__(self) -> None:
        self._held = b""

    def cut(self, data: bytes) -> Iterator[Block]:
        """Yield the blocks that `data` completes; raise `BlockTooLarge`."""
        held = self._held + data
        start = 0
        for end in _END.finditer(held, max(len(self._held) - 3, 0)):
            yield from _block(held[start : end.end()])
            start = end.end()
        self._held = held[start:]
        if len(self._held) > MAX_BLOCK_BYTES:
            raise BlockTooLarge(f"an event of more than {MAX_BLOCK_BYTES} bytes")

    def rest(self) -> Iterator[Block]:
        """Yield what was not completed at the end of the stream: clients ignore it, but programs sent it."""
        yield from _block(self._held)


def _block(data: bytes) -> Iterator[Block]:
    event = _COMMENT.sub(b"", data)
    if event.strip(b"\r\n"):
        yield Block(event)
    elif data.strip(b"\r\n"):
        line = data.strip(b"\r\n").splitlines()[0]
        yield Block(line[: MAX_COMMENT_BYTES - 2] + b"\n\n", comment=True)


class Track(NamedTuple):
    """The position after the blocks so far, and the same one counted from an earlier id, so that an event proves it."""

    after: EventPosition = EventPosition()
    proven: EventPosition = EventPosition()

    def stepped(self, event: Block) -> Track:
        """Return the track after an event."""
        proven = self.after.stepped(event.data)
        return Track(EventPosition(event.id) if event.id else proven, proven)


class Locator:
    """Finds a position in another run of the program, which got its id as Last-Event-ID, or ignores that.

    The run continues after the id, or begins again before it: then the event with the id is found in it. An event
    that is not the expected one ends the first assumption.
    """

    def __init__(self, position: EventPosition) -> None:
        self._wanted = position
        self.track = Track(EventPosition(position.id), EventPosition(position.id))
        self.found = position.passed == 0
        self._lost = False

    def take(self, event: Block) -> bool:
        """Return whether the event comes after the position."""
        if self._wanted.id and event.id == self._wanted.id:
            self.track = Track(EventPosition(event.id), EventPosition(event.id))
            self.found, self._lost = self._wanted.passed == 0, False
            return False
        if self.found or self._lost:
            return self.found
        counted = self.track.proven.stepped(event.data)
        self.track = Track(EventPosition(event.id) if event.id else counted, counted)
        if counted.passed == self._wanted.passed:
            self.found = counted.chain == self._wanted.chain
            self._lost = not self.found
        return False

    def differs(self) -> bool:
        """Give up the assumption; return whether the position cannot be found later either."""
        self.found, self._lost = False, True
        return not self._wanted.id

    @property
    def hopeless(self) -> bool:
        """True if the position cannot be found any more."""
        return self._lost and not self._wanted.id
