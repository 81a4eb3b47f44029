"""The smallest engines that move a stream: the simulator is tried out on them, and they show what it calls.

A toy listener answers each request for a piece of a response; a toy client asks for a fixed number of pieces at a time,
and asks another replica when none comes. There is no congestion control and no security in them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

from trickles.testing.clock import MILLISECOND
from trickles.testing.packet import Address

PIECE_BYTES = 1_200
TIMEOUT = 250 * MILLISECOND

_ASK = struct.Struct("!IIQ")  # checksum, which request of the connection, offset
_ANSWER = struct.Struct("!IIQQ")  # and the length of the whole response


@dataclass(frozen=True, slots=True)
class ToyBurst:
    """Datagrams for one destination."""

    destination: Address
    parts: tuple[bytes, ...]

    def datagrams(self) -> Sequence[bytes]:
        """The datagrams."""
        return self.parts


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of the stream, in order."""

    chunks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The stream is over."""


class ToyListener:
    """Keeps nothing: `content` makes the whole response from a request, and each datagram asks for one piece of it."""

    def __init__(self, content: Callable[[bytes], bytes]) -> None:
        self.counters = {"asked": 0, "bad": 0, "caches dropped": 0}
        self._content = content

    def handle(self, datagram: bytes, source: Address, *, now: int) -> list[ToyBurst]:
        """Answers one datagram; a damaged one with nothing."""
        if not _intact(datagram, _ASK.size):
            self.counters["bad"] += 1
            return []
        self.counters["asked"] += 1
        _, serial, offset = _ASK.unpack_from(datagram)
        body = self._content(datagram[_ASK.size :])
        answer = _ANSWER.pack(0, serial, offset, len(body)) + body[offset : offset + PIECE_BYTES]
        return [ToyBurst(source, (_sealed(answer),))]

    def drop_caches(self) -> None:
        """Forgets its soft state, of which it has none."""
        self.counters["caches dropped"] += 1


class ToyClient:
    """One connection; responses to all requests written follow each other in one stream."""

    def __init__(self, replicas: Sequence[Address], window: int = 16) -> None:
        self._replicas = list(replicas)
        self._window = window
        self._requests: list[bytes] = []
        self._serial = 0  # of the request whose response is under way
        self._total: int | None = None
        self._read = 0  # bytes of this response handed on
        self._pieces: dict[int, bytes] = {}  # offset -> bytes that came early
        self._asked: dict[int, int] = {}  # offset -> when to ask again
        self._events: list[Data | End] = []
        self._half_closed = False
        self._timeouts = 0

    def write(self, data: bytes) -> None:
        """One request."""
        self._requests.append(data)

    def write_eof(self) -> None:
        """No more requests: the stream ends after the last response."""
        self._half_closed = True

    def statistics(self) -> dict[str, int]:
        """What it counts."""
        return {"timeouts": self._timeouts}

    def receive_datagram(self, datagram: bytes, source: Address, *, now: int) -> None:
        """Takes a piece."""
        if not _intact(datagram, _ANSWER.size):
            return
        _, serial, offset, total = _ANSWER.unpack_from(datagram)
        if serial == self._serial and self._asked.pop(offset, None) is not None:
            self._total = total
            self._pieces[offset] = datagram[_ANSWER.size :]
            self._hand_on()

    def receive_unreachable(self, replica: Address, *, now: int) -> None:
        """Turns to the next replica, and asks it for everything at once."""
        if replica == self._replicas[0]:
            self._replicas.append(self._replicas.pop(0))
            self._asked.clear()

    def handle_timeout(self, *, now: int) -> None:
        """Turns to the next replica for what has not come."""
        self._timeouts += 1
        self._replicas.append(self._replicas.pop(0))
        self._asked = {offset: when for offset, when in self._asked.items() if when > now}

    def datagrams_to_send(self, *, now: int) -> list[tuple[bytes, Address]]:
        """Asks for as many pieces as the window lets it."""
        if self._serial >= len(self._requests):
            return []
        end = 1 if self._total is None else self._total
        window = range(self._read, min(end, self._read + self._window * PIECE_BYTES), PIECE_BYTES)
        wanted = [offset for offset in window if offset not in self._asked and offset not in self._pieces]
        self._asked.update(dict.fromkeys(wanted, now + TIMEOUT))
        request = self._requests[self._serial]
        return [(_sealed(_ASK.pack(0, self._serial, offset) + request), self._replicas[0]) for offset in wanted]

    def next_timeout(self) -> int | None:
        """When the first piece is overdue."""
        return min(self._asked.values(), default=None)

    def next_event(self) -> Data | End | None:
        """The next event, oldest first."""
        return self._events.pop(0) if self._events else None

    def _hand_on(self) -> None:
        while (piece := self._pieces.pop(self._read, None)) is not None:
            self._read += len(piece)
            self._events.append(Data((piece,)))
            if self._read == self._total:
                self._serial += 1
                self._read, self._total = 0, None
                if self._half_closed and self._serial == len(self._requests):
                    self._events.append(End())


def _sealed(datagram: bytes) -> bytes:
    return crc32(datagram[4:]).to_bytes(4, "big") + datagram[4:]


def _intact(datagram: bytes, least_bytes: int) -> bool:
    return len(datagram) >= least_bytes and crc32(datagram[4:]) == int.from_bytes(datagram[:4], "big")
