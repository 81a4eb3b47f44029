"""Input of a connection from the first byte on that no request has consumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trickles.service import Event

Where = tuple[bytes, int]  # a connection, and an offset in its input


class InputWindow(NamedTuple):
    """Input: `first` is its beginning, `size_bytes` its length, `read(start, stop)` returns any part of it.

    `ended` means that it is complete. `read` raises `InputLost` for bytes that a store has lost, and never returns
    fewer than requested.
    """

    first: bytes
    size_bytes: int
    ended: bool
    read: Callable[[int, int], bytes]
    spooled: bool = False  # it is in a store: an event of a few bytes may name all of it again

    def upto(self, stop: int) -> bytes:
        """Return the first `stop` bytes, or as many as there are."""
        stop = min(stop, self.size_bytes)
        return self.first[:stop] if stop <= len(self.first) else self.read(0, stop)

    def part(self, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop), which exist."""
        return self.first[start:stop] if stop <= len(self.first) else self.read(start, stop)

    @property
    def is_nothing(self) -> bool:
        """True if there is nothing but an empty line, which an old client sends after a request (RFC 9112 2.2)."""
        return not self.size_bytes or self.first in {b"\r\n", b"\r"}


def input_window(event: Event, consumed: int) -> InputWindow:
    """Return the event's input from input offset `consumed` on; empty if it does not reach there."""
    skip, spooled = consumed - event.input_offset, event.spooled
    size = (len(event.input) if spooled is None else spooled.stop - event.input_offset) - skip
    if skip < 0 or size < 0:
        return InputWindow(b"", 0, ended=False, read=lambda _start, _stop: b"")
    first = event.input[skip:] if skip else event.input
    if spooled is None:
        return InputWindow(first, size, event.input_end, lambda start, stop: first[start:stop])
    read = spooled.read
    return InputWindow(first, size, event.input_end, lambda start, stop: read(consumed + start, consumed + stop), True)


def has_input(event: Event) -> bool:
    """Return whether there may be a next request."""
    return bool(event.input or event.input_end or event.spooled or event.input_lost)
