"""Commits of requests that are not whole: each byte of their input is looked at once, however often they come."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import ref

import pytest

from tests.support.offered import offered
from tests.support.origins import FileServer, event, get, origin, output, status
from tests.support.programs import Fleet, asked, with_fleet
from tests.support.site_folder import fill
from trickles.errors import InputBusy
from trickles.promise import Promise
from trickles.service import Event, Refusal, Reply, Spooled
from trickleweb.server.progress import LONG_BYTES

FIRST_BYTES = 1 << 10  # of the input that an event brings at once
TIMES = 20
CHUNKED = get("/echo", "Transfer-Encoding: chunked", method="POST")
UNENDED = b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: " + bytes(60_000).replace(b"\0", b"x")


@dataclass(slots=True)
class Upload:
    """Input in a spool, and how many bytes of it were read there."""

    data: bytes
    connection: bytes = b"12345678"
    busy: int = 0  # readings that are put off before each that is not
    read_bytes: int = 0
    _asked: int = 0

    def commit(self, size: int | None = None) -> Event:
        """The event of a commit of so much of it."""
        stop = len(self.data) if size is None else size
        made = event(self.data[: min(FIRST_BYTES, stop)], spooled=Spooled(0, stop, self._read))
        return made._replace(connection=self.connection)

    def _read(self, start: int, stop: int) -> bytes:
        self._asked += 1
        if self._asked % (self.busy + 1):
            raise InputBusy
        self.read_bytes += stop - start
        return self.data[start:stop]


@pytest.fixture
def server(tmp_path: Path) -> FileServer:
    return origin(fill(tmp_path, {"hello.txt": b"Hello, world\n"}))


def in_small_chunks(size: int, end: bytes, head: bytes = CHUNKED) -> bytes:
    return head + b"1\r\nx\r\n" * (size // 6) + end


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code"), [(b"no chunk\r\n", 400), (b"1000001\r\n", 413), (b"0\r\nno field\r\n", 400)], ids=str
)
def test_chunks_that_are_wrong_are_looked_at_once(end: bytes, code: int) -> None:
    async def test(fleet: Fleet) -> None:
        replica, upload = fleet.replica(), Upload(in_small_chunks(3 * LONG_BYTES, end))
        for _ in range(TIMES):
            assert status(output(await asked(replica, upload.commit()))) == code
        assert upload.read_bytes < 2 * len(upload.data)

    with_fleet(offered, test)


def test_chunks_that_go_on_are_looked_at_once() -> None:
    async def test(fleet: Fleet) -> None:
        replica, upload = fleet.replica(), Upload(in_small_chunks(3 * LONG_BYTES, b""))
        for size in range(len(upload.data) - 10 * TIMES, len(upload.data), 10):
            assert await asked(replica, upload.commit(size)) == Reply()
        assert upload.read_bytes < 2 * len(upload.data)

    with_fleet(offered, test)


@pytest.mark.slow
def test_another_thousand_uploads_let_nothing_be_looked_at_again(server: FileServer) -> None:
    data = in_small_chunks(2_000, b"", get("/hello.txt", "Transfer-Encoding: chunked"))
    uploads = [Upload(data, bytes([7, *divmod(each, 256)])) for each in range(1_100)]
    for upload in uploads:
        assert server.handle(upload.commit()) == Reply()
        upload.read_bytes = 0
    for upload in uploads:
        assert server.handle(upload.commit()) == Reply()
    assert sum(upload.read_bytes for upload in uploads) == 0


@pytest.mark.slow
def test_one_commit_looks_at_no_more_than_takes_a_moment(server: FileServer) -> None:
    """Where there are no threads to do it."""
    upload, replies = Upload(in_small_chunks(3 * LONG_BYTES, b"0\r\n\r\n")), list[Reply]()
    while not replies or replies[-1].refusal is Refusal.BUSY:
        before = upload.read_bytes
        replies.append(server.handle(upload.commit()))
        assert upload.read_bytes - before <= 2 * LONG_BYTES
    assert len(replies) > 2
    assert status(output(replies[-1])) == 405


def grown(size: int) -> int:
    return len(UNENDED) - 10 * TIMES + size


@pytest.mark.parametrize("size", [lambda _: len(UNENDED), lambda turn: grown(10 * turn)], ids=["the same", "growing"])
def test_a_head_that_does_not_end_is_read_once(server: FileServer, size: Callable[[int], int]) -> None:
    upload = Upload(UNENDED + b"\r\n\r\n")
    for turn in range(TIMES):
        assert server.handle(upload.commit(size(turn))) == Reply()
    assert upload.read_bytes < 2 * len(upload.data)
    assert status(output(server.handle(upload.commit()))) == 200
    for _ in range(TIMES):
        assert status(output(server.handle(upload.commit()))) == 200
    assert upload.read_bytes < 3 * len(upload.data)


@pytest.mark.parametrize("cut", range(1, 4))
def test_the_end_of_a_head_is_found_wherever_it_is_cut(server: FileServer, cut: int) -> None:
    upload = Upload(UNENDED + b"\r\n\r\n")
    assert server.handle(upload.commit(len(UNENDED) + cut)) == Reply()
    assert status(output(server.handle(upload.commit()))) == 200


def test_a_head_that_is_wrong_is_read_once(server: FileServer) -> None:
    upload = Upload(UNENDED.replace(b"X: ", b"X : ") + b"\r\n\r\n")
    for _ in range(TIMES):
        assert status(output(server.handle(upload.commit()))) == 400
    assert upload.read_bytes < 2 * len(upload.data)


def test_what_was_forgotten_is_looked_at_again(server: FileServer) -> None:
    upload = Upload(UNENDED + b"\r\n\r\n")
    for size in (30_000, 50_000, len(UNENDED)):
        assert server.handle(upload.commit(size)) == Reply()
        server.drop_caches()
    assert status(output(server.handle(upload.commit()))) == 200


def test_a_spool_that_is_busy_puts_a_request_off(server: FileServer) -> None:
    upload = Upload(UNENDED + b"\r\n\r\n", busy=1)
    assert server.handle(upload.commit()).refusal is Refusal.BUSY
    assert status(output(server.handle(upload.commit()))) == 200


def test_a_body_goes_on_where_its_spool_was_busy() -> None:
    async def test(fleet: Fleet) -> None:
        content = bytes(range(256)) * 4_000
        head = get("/upload", f"Content-Length: {len(content)}", method="POST")
        upload = Upload(head + content, busy=3)
        assert b'"bytes":%d' % len(content) in output(await asked(fleet.replica(), upload.commit()))

    with_fleet(offered, test)


@pytest.mark.parametrize(
    "data",
    [
        UNENDED.replace(b"X: ", b"X : ") + b"\r\n\r\n",
        in_small_chunks(9_000, b"no chunk\r\n", get("/hello.txt", "Transfer-Encoding: chunked")),
    ],
    ids=["head", "chunks"],
)
def test_what_is_wrong_is_remembered_without_the_input_it_was_found_in(server: FileServer, data: bytes) -> None:
    def refused() -> ref[object]:
        def read(start: int, stop: int) -> bytes:
            return data[start:stop]

        made = event(data[:FIRST_BYTES], spooled=Spooled(0, len(data), read))
        assert status(output(server.handle(made))) == 400
        return ref(read)

    read_by = [refused() for _ in range(3)]
    gc.collect()
    assert [each() for each in read_by] == [None, None, None]


def test_a_long_body_whose_parts_are_fetched_first_is_answered_at_the_first_request() -> None:
    async def test(fleet: Fleet) -> None:
        loop, fetched = asyncio.get_running_loop(), set[int]()
        data = in_small_chunks(6 * LONG_BYTES, b"0\r\n\r\n")
        replica, upload = fleet.replica(), Upload(data)

        def read(start: int, stop: int) -> bytes:
            """Fetch 64 KiB at a time, as a store over a network does."""
            for block in range(start >> 16, (stop - 1 >> 16) + 1):
                if block not in fetched:
                    ready: Promise[None] = Promise()
                    fetched.add(block)
                    loop.call_soon_threadsafe(ready.resolve, None)
                    raise InputBusy("it is being fetched", ready)
            return data[start:stop]

        spooled = Spooled(0, len(data), read)
        answer = await asked(replica, upload.commit()._replace(spooled=spooled))
        assert status(output(answer)) == 200
        assert len(fetched) == (len(data) - 1 >> 16) + 1

    with_fleet(offered, test)
