"""Clients that misbehave over TCP: they get a clear status or a clean close, nothing leaks, nobody else notices."""

import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.footprint import Footprint, footprint
from tests.support.processes import PATIENCE_SECONDS, received
from tests.support.served import Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

SMALL = b"Hello, world\n"
LARGE = os.urandom(10_000_000)
WHOLE = b"GET /small HTTP/1.1\r\nHost: example.org\r\n\r\n"
HEAD = b"GET /small HTTP/1.1\r\nHost: example.org\r\n"
RESET = struct.pack("ii", 1, 0)  # struct linger
TRIES = 20_000
SLOW_READERS = 30
CACHES_BYTES = 32_000_000  # what a replica keeps only to be faster


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "site").mkdir()
    (folder / "site" / "small").write_bytes(SMALL)
    (folder / "site" / "large").write_bytes(LARGE)
    with served(folder / "site", folder / "run", "--replicas", 2, "--request-timeout", 2) as started:
        assert started.get("/large") == LARGE
        yield started


def dial(fleet: Served, buffer_bytes: int = 0) -> socket.socket:
    """A connection to the gateway, with a small receive buffer if need be."""
    place = urlsplit(fleet.url)
    connection = socket.socket()
    connection.settimeout(PATIENCE_SECONDS)
    if buffer_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    connection.connect((place.hostname, place.port))
    return connection


def answer(fleet: Served, request: bytes, *, half_close: bool = False) -> bytes:
    """All that comes back until the gateway closes in order."""
    with closing(dial(fleet)) as connection:
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return received(connection)


def status(response: bytes) -> int:
    """The status of the only response; 0 for none."""
    assert response.count(b"HTTP/1.1 ") <= 1
    return int(response.split(b" ", 2)[1]) if response else 0


def footprints(fleet: Served) -> list[Footprint]:
    """Of all processes of the fleet."""
    return list(map(footprint, fleet.pids()))


def grown_since(fleet: Served, before: list[Footprint]) -> list[int]:
    """Bytes by which each process has grown: the gateway, then the replicas."""
    return [now.resident_bytes - then.resident_bytes for now, then in zip(footprints(fleet), before, strict=True)]


def wait_until(fleet: Served, condition: Callable[[], bool]) -> None:
    """Until it holds; other clients are served meanwhile."""
    for _ in range(TRIES):
        if condition():
            return
        assert fleet.get("/small") == SMALL
    raise AssertionError("it never came true")


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        pytest.param(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, id="a line of 1 MB"),
        pytest.param(b"GET /" + b"a" * 1_000_000, 414, id="a line without end"),
        pytest.param(b"\0" * 1000, 400, id="zeros"),
        pytest.param(HEAD + b"X: y\r\n" * 10_000 + b"\r\n", 431, id="10,000 fields"),
        pytest.param(HEAD + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n", 431, id="a field of 1 MB"),
        pytest.param(HEAD + b"Content-Length: 1000000000\r\n\r\n" + b"x" * 1_000_000, 413, id="a body without end"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 1_000_000, 400, id="a chunk without end"),
    ],
)
def test_too_much_is_told_clearly(fleet: Served, request_bytes: bytes, expected: int) -> None:
    assert status(answer(fleet, request_bytes)) == expected
    assert fleet.get("/small") == SMALL


def test_requests_cut_at_every_byte(fleet: Served) -> None:
    statuses = [status(answer(fleet, WHOLE[:size], half_close=True)) for size in range(len(WHOLE) + 1)]
    assert statuses == [0, *[400] * (len(WHOLE) - 1), 200]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_clients_that_leave_at_every_byte(fleet: Served, reset: bool) -> None:
    for size in range(len(WHOLE) + 1):
        with closing(dial(fleet)) as connection:
            connection.sendall(WHOLE[:size])
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    assert fleet.get("/small") == SMALL


def test_a_request_may_come_byte_by_byte(fleet: Served) -> None:
    with closing(dial(fleet)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in WHOLE:
            connection.sendall(bytes((each,)))
        connection.shutdown(socket.SHUT_WR)
        assert received(connection).endswith(SMALL)


def test_requests_without_end_at_a_byte_every_fifth_of_a_second(tmp_path: Path) -> None:
    """There is one replica, which knows how long it has waited: another one might say 400."""
    starts = (b"", b"GET /small HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 1000\r\n\r\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "small").write_bytes(SMALL)
    with ExitStack() as stack:
        words = ("--replicas", 1, "--request-timeout", 2)
        fleet = stack.enter_context(served(tmp_path / "site", tmp_path / "run", *words))
        slow = [stack.enter_context(closing(dial(fleet))) for _ in starts]
        for connection, start in zip(slow, starts, strict=True):
            connection.sendall(start)
        waiting = list(slow)
        while waiting:
            assert fleet.get("/small") == SMALL
            answered, _, _ = select.select(waiting, [], [], 0.2)
            waiting = [connection for connection in waiting if connection not in answered]
            for connection in waiting:
                connection.sendall(b"a")
        assert [status(received(connection)) for connection in slow] == [408, 408, 408]


def test_a_half_closed_client_gets_all(fleet: Served) -> None:
    assert answer(fleet, WHOLE.replace(b"small", b"large"), half_close=True).endswith(LARGE)


def test_who_reads_byte_by_byte_harms_nobody(fleet: Served) -> None:
    pids = fleet.pids()
    before = footprints(fleet)
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(dial(fleet, 4096))) for _ in range(SLOW_READERS)]
        for connection in slow:
            connection.sendall(WHOLE.replace(b"small", b"large"))
            assert connection.recv(1) == b"H"
        assert fleet.get("/large") == LARGE
        assert b"".join(slow[0].recv(1) for _ in range(11)) == b"TTP/1.1 200"
        for connection in slow:
            assert connection.recv(1)
        assert max(grown_since(fleet, before)[1:]) < CACHES_BYTES  # the replicas know nothing of them
        slow[-1].shutdown(socket.SHUT_WR)
        assert received(slow[-1]).endswith(LARGE)
    wait_until(fleet, lambda: footprint(pids[0]).descriptors <= before[0].descriptors + SLOW_READERS)


def test_nothing_leaks(fleet: Served) -> None:
    fleet.get("/large")

    def abuse() -> None:
        for size in (0, 1, 20, len(HEAD), len(WHOLE)):
            for half_close in (False, True):
                with closing(dial(fleet)) as connection:
                    connection.sendall(WHOLE[:size])
                    if half_close:
                        connection.shutdown(socket.SHUT_WR)
        for request in (b"GET /" + b"a" * 100_000, HEAD + b"X: y\r\n" * 2000, b"\xff" * 1000, b"GET /%00 HTTP/1.1\r\n"):
            answer(fleet, request, half_close=True)

    for _ in range(20):
        abuse()
    before = footprints(fleet)
    for _ in range(60):
        abuse()
    gateway, *replicas = grown_since(fleet, before)
    assert gateway < 3_000_000
    assert max(replicas) < CACHES_BYTES
    allowed = [each.descriptors + 2 for each in before]
    wait_until(fleet, lambda: all(a.descriptors <= b for a, b in zip(footprints(fleet), allowed, strict=True)))
