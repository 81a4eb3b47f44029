"""One effect of each request that appends: parts, repeats, deaths of replicas and clients, rivals."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.origins import event, get, output, spool, status
from tests.support.programs import Fleet, asked, on_loop, settled, with_fleet
from tests.support.uploads import BYTES, TUS, Uploads, checksum
from trickles.service import Reply
from trickleweb.ledger import request_key
from trickleweb.server import HttpService
from trickleweb.stores import MemoryLedger
from trickleweb.tus import UploadFolder
from trickleweb.tus.uploads import OpenUpload

SIZE = 6 << 20
DATA = bytes(range(256)) * (SIZE // 256)


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads")


class Patch:
    """A PATCH of an upload, as events of any part of it."""

    def __init__(self, path: str, data: bytes, offset: int = 0, connection: bytes = b"12345678", **fields: str) -> None:
        named = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        given = (*(f"{name}: {value}" for name, value in BYTES.items()), f"Upload-Offset: {offset}", *named)
        self.raw = get(path, *given, f"Content-Length: {len(data)}", method="PATCH") + data
        self.body_at = len(self.raw) - len(data)
        self.connection = connection

    async def sent(self, origin: HttpService, size: int, *, end: bool = False) -> Reply:
        """The reply to that many bytes of the body, once all work is done."""
        data = self.raw[: self.body_at + size]
        what = event(data[:1000], end=end, spooled=spool(data))._replace(connection=self.connection)
        reply = await asked(origin, what)
        while origin.busy:
            await settled()
        return reply


def test_a_client_that_dies_finds_what_it_sent_and_goes_on(uploads: Uploads) -> None:
    path = uploads.made(SIZE)

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        patch = Patch(path, DATA)
        await patch.sent(first, 1000)
        reply = await patch.sent(second, 5_000_000, end=True)
        assert status(output(reply)) == 400
        found = uploads.store.find(path[7:])
        assert found.offset == 5_000_000
        rest = Patch(path, DATA[5_000_000:], 5_000_000, b"another.")
        assert status(output(await rest.sent(second, SIZE - 5_000_000))) == 204
        assert uploads.store.path(path[7:]).read_bytes() == DATA
        assert len(uploads.finished) == 1

    with_fleet(lambda: uploads.app, test)


def test_parts_and_the_whole_of_one_request_are_one_effect(uploads: Uploads) -> None:
    path = uploads.made(SIZE)

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        patch = Patch(path, DATA)
        assert await patch.sent(first, 5 << 20) == Reply()
        assert uploads.store.find(path[7:]).offset == 5 << 20
        for origin in (second, first):
            assert b"Upload-Offset: %d\r\n" % SIZE in output(await patch.sent(origin, SIZE))
        assert await patch.sent(fleet.replica(), 5 << 20) == Reply()  # an old packet
        assert uploads.store.find(path[7:]).offset == SIZE
        assert len(uploads.finished) == 1

    with_fleet(lambda: uploads.app, test)


@pytest.mark.parametrize("done", [0, 100, 5_000_000, SIZE])
@pytest.mark.parametrize("checked", [False, True])
def test_a_request_whose_replica_died_at_work_is_finished_by_another(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch, done: int, checked: bool
) -> None:
    path = uploads.made(SIZE)
    fields: dict[str, Any] = {"Upload_Checksum": checksum(DATA)} if checked else {}

    async def test(fleet: Fleet) -> None:
        patch = Patch(path, DATA, **fields)
        dying = fleet.replica(MemoryLedger(fleet.memory, "dead"))
        with monkeypatch.context() as patched:
            patched.setattr("trickleweb.tus.appending.COMMIT_BYTES", 1 << 18)
            patched.setattr(UploadFolder, "open", dies_after(uploads.store, done))
            reply = await patch.sent(dying, SIZE)
            assert status(output(reply)) == 500
        fleet.memory.rows[request_key(b"12345678", 0)] = ("dead", None, 1)  # it died before it could tell
        fleet.memory.dead.add("dead")
        assert status(output(await patch.sent(fleet.replica(), SIZE))) == 204
        assert uploads.store.path(path[7:]).read_bytes() == DATA
        assert len(uploads.finished) == 1

    with_fleet(lambda: uploads.app, test)


def dies_after(store: UploadFolder, most: int) -> Any:
    """Let the writer of an upload fail once so many bytes are written; later commits fail too."""

    class Dying:
        def __init__(self, upload: OpenUpload) -> None:
            self.upload, self.left = upload, most

        def __getattr__(self, name: str) -> object:
            return getattr(self.upload, name)

        def write(self, data: bytes) -> None:
            if len(data) > self.left:
                self.upload.write(data[: self.left])
                self.left = -1
                raise RuntimeError("dead")
            self.upload.write(data)
            self.left -= len(data)

        def commit(self, record: Any) -> None:
            if self.left < 0:
                raise RuntimeError("dead")
            self.upload.commit(record)
            if not self.left:
                raise RuntimeError("dead")

    opening = UploadFolder.open
    return lambda _, name: Dying(opening(store, name))


def test_a_rival_at_the_same_offset_is_refused(uploads: Uploads) -> None:
    path = uploads.made(SIZE)

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        slow, rival = Patch(path, DATA), Patch(path, DATA[:1000], 0, b"another.")
        await slow.sent(origin, 5 << 20)
        assert status(output(await rival.sent(origin, 1000))) == 409
        assert status(output(await slow.sent(origin, SIZE))) == 204

    with_fleet(lambda: uploads.app, test)


def test_a_request_that_was_overtaken_is_refused_before_its_end(uploads: Uploads) -> None:
    path = uploads.made(SIZE)

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        old, new = Patch(path, DATA), Patch(path, DATA[5 << 20 :], 5 << 20, b"another.")
        await old.sent(origin, 5 << 20)
        assert status(output(await new.sent(origin, 1 << 20))) == 204
        fleet.now_us += 1_000_000
        await old.sent(origin, (5 << 20) + 100_000)
        assert status(output(await old.sent(origin, (5 << 20) + 100_001))) == 409

    with_fleet(lambda: uploads.app, test)


def test_parts_wait_for_the_lock_of_another_run_no_longer_than_the_next(uploads: Uploads) -> None:
    path = uploads.made(SIZE)

    async def test(fleet: Fleet) -> None:
        origin, patch = fleet.replica(), Patch(path, DATA)
        held = uploads.store.open(path[7:])
        assert await patch.sent(origin, 5 << 20) == Reply()
        held.close()
        assert uploads.store.find(path[7:]).offset == 0
        assert status(output(await patch.sent(origin, SIZE))) == 204

    with_fleet(lambda: uploads.app, test)


def test_a_body_with_a_checksum_counts_only_whole(uploads: Uploads) -> None:
    path = uploads.made(SIZE)

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        patch = Patch(path, DATA, Upload_Checksum=checksum(DATA))
        assert await patch.sent(origin, 5 << 20) == Reply()
        assert uploads.store.find(path[7:]).offset == 0
        assert status(output(await patch.sent(origin, SIZE))) == 204

    with_fleet(lambda: uploads.app, test)


def test_a_creation_that_runs_twice_makes_one_upload(uploads: Uploads) -> None:
    raw = get("/files/", *(f"{name}: {value}" for name, value in TUS.items()), "Upload-Length: 5", method="POST")

    async def test(fleet: Fleet) -> None:
        first = output(await asked(fleet.replica(), event(raw)))
        fleet.memory.rows.clear()  # as if its replica had died
        again = output(await asked(fleet.replica(), event(raw)))
        assert first.partition(b"Location")[2] == again.partition(b"Location")[2] != b""
        assert len(list(uploads.store.path("x").parent.parent.iterdir())) == 1

    with_fleet(lambda: uploads.app, test)


def test_under_another_server_what_arrived_before_the_disconnect_is_kept(uploads: Uploads) -> None:
    path = uploads.made(10)

    async def upload() -> list[Any]:
        sent: list[Any] = []
        messages = pieces()
        headers = [(name.lower().encode(), value.encode()) for name, value in BYTES.items()]
        headers += [(b"host", b"testserver"), (b"upload-offset", b"0"), (b"content-length", b"10")]
        scope = {
            "type": "http", "method": "PATCH", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers, "http_version": "1.1",
        }  # fmt: skip

        async def send(message: Any) -> None:
            sent.append(message)

        await uploads.app(scope, lambda: anext(messages), send)
        return sent

    async def pieces() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": b"123", "more_body": True}
        yield {"type": "http.request", "body": b"45", "more_body": True}
        yield {"type": "http.disconnect"}

    assert on_loop(upload())[0]["status"] == 400
    assert uploads.data(path) == b"12345"
    assert uploads.patch(path, 5, b"67890").status_code == 204
    assert uploads.data(path) == b"1234567890"
