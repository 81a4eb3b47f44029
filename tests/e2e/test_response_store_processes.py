"""Stored responses of processes that are killed: what was stored stays, and is known to be all."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.onloop import on_loop
from trickleweb.response_store import Growth, ResponseStore, StoredPart
from trickleweb.stores import FolderResponses

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WRITER = """
import asyncio, sys
from trickleweb.stores import FolderResponses

async def write(folder, pieces):
    store = FolderResponses(folder)
    writer = await store.begin(client=b"host")
    await writer.start(b"head")
    print(writer.name.hex(), flush=True)
    for number in range(pieces):
        await writer.append(number.to_bytes(4, "big") * 4096)
    await writer.append(b"", last=True)
    print("complete", flush=True)
    sys.stdin.read()

asyncio.run(write(sys.argv[1], int(sys.argv[2])))
"""


def writing(folder: Path, pieces: int) -> tuple[subprocess.Popen[str], bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, folder, str(pieces)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, bytes.fromhex(process.stdout.readline())


def killed(process: subprocess.Popen[str]) -> None:
    with process:
        process.send_signal(signal.SIGKILL)


def body(byte_count: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") * 4096 for number in range(byte_count // 16384 + 1))[:byte_count]


async def whole(store: ResponseStore, name: bytes) -> StoredPart:
    """Read a response until its end, waiting for more."""
    got = b""
    async with asyncio.timeout(60):
        while part := await store.read(name, len(got), 1 << 20):
            got += part.data
            if part.growth is not Growth.OPEN and len(got) == part.size:
                return StoredPart(part.head, got, part.size, part.growth)
            if not part.data:
                await store.wait(name, len(got))
    raise AssertionError("the response is gone")


@on_loop
async def test_a_killed_writers_response_is_read_to_its_end(tmp_path: Path) -> None:
    store = FolderResponses(tmp_path / "responses")
    for sooner in range(5):
        process, name = writing(tmp_path / "responses", 1_000_000)
        while (part := await store.read(name, 0, 1)) and part.size < 20_000 * 10**sooner // 100:
            await store.wait(name, part.size)
        reading = asyncio.create_task(whole(store, name))
        killed(process)
        found = await reading
        assert (found.head, found.growth) == (b"head", Growth.CUT)
        assert found.data == body(found.size)
    store.close()


@on_loop
async def test_a_complete_response_outlives_its_writer(tmp_path: Path) -> None:
    store = FolderResponses(tmp_path / "responses")
    process, name = writing(tmp_path / "responses", 50)
    assert (await whole(store, name)).growth is Growth.COMPLETE
    killed(process)
    for reader in (store, FolderResponses(tmp_path / "responses")):
        assert await whole(reader, name) == StoredPart(b"head", body(50 * 16384), 50 * 16384, Growth.COMPLETE)
        reader.close()


@on_loop
async def test_a_program_that_a_writer_started_keeps_nothing_open(tmp_path: Path) -> None:
    store = FolderResponses(tmp_path / "responses")
    other = FolderResponses(tmp_path / "responses")
    writer = await store.begin(client=b"host")
    await writer.start(b"head")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False):  # noqa: ASYNC220
        writer.close()
        part = await other.read(writer.name, 0, 1)
        assert part is not None
        assert part.growth is Growth.CUT
    store.close()
    other.close()


@on_loop
async def test_memory_stays_flat_while_much_is_stored_and_read(tmp_path: Path) -> None:
    store = FolderResponses(tmp_path / "responses")
    process, name = writing(tmp_path / "responses", 6000)  # 98 MB
    got = 0
    async with asyncio.timeout(120):
        while (part := await store.read(name, got, 1 << 20)) and not (part.growth is Growth.COMPLETE and not part.data):
            got += len(part.data)
            if not part.data:
                await store.wait(name, got)
    assert got == 6000 * 16384
    status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240 - not a disk
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    killed(process)
    assert peak < 64_000  # kB, of which most is Python
    store.close()
    assert os.stat(tmp_path / "responses").st_mode & 0o777 == 0o700  # noqa: PTH116 - in a coroutine
