"""Integers and texts in as few bytes as they need, written and read in turn."""

from __future__ import annotations

from trickleweb.errors import WebError

_MAX_SHIFT = 63  # nine bytes: file offsets are 63-bit


class BadPlan(WebError, ValueError):
    """Bytes that are no encoded plan."""


def put_varint(out: bytearray, number: int) -> None:
    """Append `number`, 0 to 2^63 - 1, seven bits to a byte, the lowest first."""
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def put_text(out: bytearray, text: bytes) -> None:
    """Append a length and the bytes."""
    put_varint(out, len(text))
    out += text


class Reader:
    """Reads what was put, in the same order; `BadPlan` for anything that was not."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def varint(self) -> int:
        """The next integer, in its shortest form only."""
        number = shift = 0
        while shift < _MAX_SHIFT:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if byte == 0 and shift > 7:
                    raise BadPlan("an integer longer than it needs to be")
                return number
        raise BadPlan("an integer beyond 2^63")

    def count(self) -> int:
        """The next integer as a count of items of at least a byte each: never more than there are bytes left."""
        count = self.varint()
        if count > len(self._data) - self._at:
            raise BadPlan(f"{count} items do not fit the bytes that are left")
        return count

    def text(self) -> bytes:
        """The next length and that many bytes."""
        size = self.count()
        self._at += size
        return self._data[self._at - size : self._at]

    def finish(self) -> None:
        """Check that nothing is left."""
        if self._at != len(self._data):
            raise BadPlan("more bytes than a plan has")

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise BadPlan("a plan that is cut")
        self._at += 1
        return self._data[self._at - 1]
