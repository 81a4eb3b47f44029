"""The least HTTP/1.1 client that can time one request: a blocking socket, one answer with a Content-Length."""

import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from benchmarks.support.load import content_length
from benchmarks.support.net import LOOPBACK

TIMEOUT_SECONDS = 10.0
READ_BYTES = 65536


class Connection:
    """One keep-alive connection to a port on loopback."""

    def __init__(self, port: int, source: str | None = None) -> None:
        self._socket = socket.create_connection(
            (LOOPBACK, port), TIMEOUT_SECONDS, source_address=(source, 0) if source else None
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def get(self, path: str) -> tuple[bytes, bytes]:
        """Ask for a path: (head, body); OSError if the server hangs up, ValueError without a length."""
        self._socket.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        while len(body) < content_length(head):
            body += self._more()
        return head, body

    def alive(self) -> bool:
        """Whether the server has not hung up, nor said anything unasked."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(TIMEOUT_SECONDS)
        return False

    def _more(self) -> bytes:
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("the server hung up within an answer")
        return data


class Asker(Protocol):
    """A connection that can be asked; a context manager that closes it."""

    def get(self, path: str) -> tuple[bytes, bytes]:
        """Ask for a path: (head, body)."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close it."""


Connect = Callable[[], Asker]


def kept_alive(connect: Connect, path: str, body: bytes, count: int) -> list[float]:
    """Seconds of each of `count` requests on one connection; ValueError if an answer is not `body`."""
    with connect() as connection:
        connection.get(path)
        return [timed(connection, path, body) for _ in range(count)]


def fresh(connect: Connect, path: str, body: bytes, count: int) -> list[float]:
    """Seconds of each of `count` requests with their connections."""
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        with connect() as connection:
            timed(connection, path, body)
        seconds.append(time.perf_counter() - started)
    return seconds


def timed(connection: Asker, path: str, body: bytes) -> float:
    """Seconds of one request."""
    started = time.perf_counter()
    head, got = connection.get(path)
    seconds = time.perf_counter() - started
    if got != body or not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(f"a wrong answer: {head[:60]!r}")
    return seconds
