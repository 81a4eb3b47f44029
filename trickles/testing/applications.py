"""Applications for clients: fetch one stream to its end, or hold a conversation of many requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from trickles.testing.endpoints import Session, data_of, is_end


class Reader:
    """Takes stream bytes at no more than `rate` bytes per second (None: as they come)."""

    __slots__ = ("_rate",)

    def __init__(self, rate: int | None) -> None:
        self._rate = rate

    def took(self, session: Session, count_bytes: int) -> None:
        if self._rate is not None and count_bytes:
            session.pause(count_bytes * 1_000_000 // self._rate)


class Fetch:
    """Writes one request, half-closes, and reads to the end of the stream.

    What comes is compared with `expected`, and added to `into`.
    """

    def __init__(
        self,
        request: bytes,
        expected: bytes | None = None,
        *,
        read_rate: int | None = None,
        into: bytearray | None = None,
    ) -> None:
        self.received_bytes = 0
        self._request = request
        self._expected = expected
        self._into = into
        self._reader = Reader(read_rate)

    def start(self, session: Session) -> None:
        session.engine.write(self._request)
        session.engine.write_eof()

    def receive(self, session: Session, event: object) -> None:
        """Check bytes; finish at the end of the stream, or fail there if some are missing."""
        data = data_of(event)
        if data is not None:
            self._check(session, data)
            if self._into is not None:
                self._into += data
            self._reader.took(session, len(data))
        elif is_end(event):
            if self._expected is not None and self.received_bytes != len(self._expected):
                session.fail(f"the stream ended at {self.received_bytes} of {len(self._expected)} bytes")
            session.finish()

    def _check(self, session: Session, data: bytes) -> None:
        start = self.received_bytes
        self.received_bytes += len(data)
        if self._expected is not None and self._expected[start : self.received_bytes] != data:
            session.fail(f"wrong bytes at {start} or up to {len(data)} bytes after")


class Conversation:
    """Writes requests on one connection, at most `depth` without their answer, and compares each answer.

    `exchanges` are pairs of a request and the whole answer expected to it, not empty; `think` microseconds pass
    before each request but the first ones.
    """

    def __init__(
        self,
        exchanges: Iterable[tuple[bytes, bytes]],
        *,
        depth: int = 1,
        think: int = 0,
        read_rate: int | None = None,
    ) -> None:
        self.answered = 0
        self._exchanges = iter(exchanges)
        self._depth = depth
        self._think = think
        self._reader = Reader(read_rate)
        self._open: deque[bytes] = deque()  # answers not complete yet, oldest first
        self._offset = 0  # bytes of the oldest that have come

    def start(self, session: Session) -> None:
        for _ in range(self._depth):
            self._ask(session)
        self._finish_if_done(session)

    def receive(self, session: Session, event: object) -> None:
        """Check bytes against the oldest open answers, and ask the next for each complete one."""
        data = data_of(event)
        if data is None:
            if is_end(event):
                session.fail(f"the stream ended with {len(self._open)} answers open")
            return
        self._reader.took(session, len(data))
        while data and self._open:
            answer, start = self._open[0], self._offset
            part = data[: len(answer) - start]
            self._offset = start + len(part)
            if answer[start : self._offset] != part:
                session.fail(f"answer {self.answered} is wrong at {start} or up to {len(part)} bytes after")
                return
            data = data[len(part) :]
            if self._offset == len(answer):
                self._complete(session)
        if data:
            session.fail(f"{len(data)} bytes more than were asked for")

    def _complete(self, session: Session) -> None:
        self._open.popleft()
        self._offset = 0
        self.answered += 1
        if self._think:
            session.after(self._think, lambda: self._ask(session))
        else:
            self._ask(session)

    def _ask(self, session: Session) -> None:
        exchange = next(self._exchanges, None)
        if exchange is not None:
            session.engine.write(exchange[0])
            self._open.append(exchange[1])
        self._finish_if_done(session)

    def _finish_if_done(self, session: Session) -> None:
        if not self._open:
            session.finish()
