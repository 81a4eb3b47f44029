"""The room in a folder of responses: which files are removed, and what counts for the bounds."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.support.onloop import on_loop
from tests.support.response_folders import HOST, Store, age, begun, files, finished, swept
from trickleweb.errors import ResponseStoreFull
from trickleweb.response_store import ResponseBounds
from trickleweb.stores.response_room import ResponseAges, file_name


@on_loop
async def test_old_files_are_removed_unless_they_are_open(response_folder: Path, open_store: Store) -> None:
    one = open_store(ages=ResponseAges(most_idle_s=60))
    name, other = await finished(one, b"body"), await finished(one, b"other")
    writer = await begun(one, b"half")
    for path in files(response_folder):
        if not path.name.startswith(other[:16].hex()):
            age(path, 61)
    (response_folder / "not ours").touch()
    age(response_folder / "not ours", 1000)
    await swept(one)
    assert len(files(response_folder)) == 3
    assert await open_store().read(name, 0, 10) is None
    assert await open_store().read(other, 0, 10) is not None
    writer.close()
    age(next(path for path in files(response_folder) if path.name.startswith(writer.name[:16].hex())), 61)
    await swept(one)
    assert len(files(response_folder)) == 2


@on_loop
async def test_files_of_dead_processes_are_removed_at_the_start(response_folder: Path, open_store: Store) -> None:
    (await begun(open_store(), b"half")).close()
    age(files(response_folder)[0], 10_000)
    open_store()
    assert files(response_folder) == []


@on_loop
async def test_use_keeps_a_response_for_a_bounded_time(response_folder: Path, open_store: Store) -> None:
    name = await finished(open_store(), b"body")
    now = files(response_folder)[0].stat().st_mtime
    clock = [now]
    old, young = open_store(clock=lambda: clock[0]), open_store(clock=lambda: now)
    age(files(response_folder)[0], 300)
    clock[0] += 86_500
    await old.read(name, 0, 10)
    old.close()
    assert files(response_folder)[0].stat().st_mtime < now - 200
    await young.read(name, 0, 10)
    young.close()
    assert files(response_folder)[0].stat().st_mtime > now - 0.001


@on_loop
async def test_use_is_noted_when_the_bytes_come_from_memory(response_folder: Path, open_store: Store) -> None:
    one = open_store()
    name = await finished(one, b"body")
    (path,) = files(response_folder)
    age(path, 300)
    before = path.stat().st_mtime
    one.note_use(name)
    one.close()
    assert path.stat().st_mtime >= before + 300


@on_loop
async def test_files_that_nobody_uses_make_room_the_oldest_first(response_folder: Path, open_store: Store) -> None:
    one = open_store(ResponseBounds(most_total_bytes=1000, most_client_bytes=1000))
    names = [await finished(one, bytes(220)) for _ in range(4)]
    for number, name in enumerate(names):
        age(response_folder / file_name(name), (40, 60, 50, 2)[number])
    names.append(await finished(one, bytes(220)))
    assert [await one.read(name, 0, 0) is not None for name in names] == [True, False, True, True, True]


@on_loop
async def test_more_of_a_response_finds_room_too(response_folder: Path, open_store: Store) -> None:
    one = open_store(ResponseBounds(most_total_bytes=1000, most_client_bytes=1000))
    first = await finished(one, bytes(700))
    age(response_folder / file_name(first), 60)
    second = await finished(one, bytes(100), bytes(600))
    assert await one.read(first, 0, 0) is None
    assert await one.read(second, 0, 0) is not None


@on_loop
async def test_a_client_near_its_bound_loses_its_own_files_only(response_folder: Path, open_store: Store) -> None:
    one = open_store(ResponseBounds(most_total_bytes=10_000, most_client_bytes=1000))
    first, second = await finished(one, bytes(400)), await finished(one, bytes(400))
    writer = await one.begin(client=b"another")
    await writer.start(bytes(100))
    await writer.append(b"", last=True)
    writer.close()
    for path in files(response_folder):
        age(path, 60)
    age(response_folder / file_name(first), 10)
    await swept(one)
    assert [await one.read(name, 0, 0) is not None for name in (first, second, writer.name)] == [False, True, True]


@on_loop
async def test_the_number_of_files_makes_room(response_folder: Path, open_store: Store) -> None:
    one = open_store(ResponseBounds(most_responses=8, most_client_responses=8))
    for _ in range(8):
        age(response_folder / file_name(await finished(one, b"x")), 60)
    await finished(one, b"x")
    assert len(files(response_folder)) == 7


@on_loop
async def test_a_response_whose_client_has_left_is_removed_first(response_folder: Path, open_store: Store) -> None:
    one = open_store(ResponseBounds(most_total_bytes=1000, most_client_bytes=1000))
    read, left = await finished(one, bytes(450)), await finished(one, bytes(450))
    one.note_use(left, over=True)
    await settled_use(response_folder / file_name(left))
    await finished(one, bytes(450))
    assert await one.read(read, 0, 0) is not None
    assert await one.read(left, 0, 0) is None


@on_loop
async def test_a_store_whose_files_are_in_use_is_full(response_folder: Path, open_store: Store) -> None:
    one = open_store(ResponseBounds(most_total_bytes=1000, most_client_bytes=1000))
    for size in (462, 462, 40):  # the last one of the part for promises
        await finished(one, bytes(size))
    with pytest.raises(ResponseStoreFull):
        await one.begin(client=HOST)
    assert len(files(response_folder)) == 3


@on_loop
async def test_a_response_gets_what_was_promised_to_it_when_others_have_taken_the_rest(open_store: Store) -> None:
    one = open_store(ResponseBounds(most_total_bytes=1600, most_client_bytes=1600), ages=ResponseAges(most_wait_s=0))
    first, second = await begun(one), await begun(one)
    await first.append(bytes(1380))
    with pytest.raises(ResponseStoreFull):
        await first.append(bytes(200))
    await second.append(bytes(90), last=True)  # a sixteenth, less the head
    assert (await one.begin(client=HOST)).name, "the last sixteenth is for such promises"
    for writer in (first, second):
        writer.close()


@on_loop
async def test_a_writer_waits_for_room(response_folder: Path, open_store: Store) -> None:
    clock = [1000.0]
    bounds = ResponseBounds(most_total_bytes=1000, most_client_bytes=1000)
    one = open_store(bounds, clock=lambda: clock[0])
    await finished(one, bytes(800))
    writer = await begun(one)
    waiting = asyncio.create_task(writer.append(bytes(500)))
    for _ in range(2):
        await swept(one)
    assert not waiting.done()
    clock[0] += 16
    await waiting
    assert len(files(response_folder)) == 1
    writer.close()


@on_loop
async def test_a_removed_file_is_not_kept_open(response_folder: Path, open_store: Store) -> None:
    clock = [1000.0]
    one = open_store(clock=lambda: clock[0])
    name = await finished(one, b"body")
    await one.read(name, 0, 10)
    files(response_folder)[0].unlink()
    one.look()
    assert await one.read(name, 0, 10) is not None
    clock[0] += 16
    one.look()
    assert await one.read(name, 0, 10) is None


@on_loop
async def test_a_time_in_the_future_counts_as_now(response_folder: Path, open_store: Store) -> None:
    one = open_store()
    await finished(one, b"body")
    (path,) = files(response_folder)
    os.utime(path, (4_000_000_000, 4_000_000_000))
    await swept(one)
    now = path.stat().st_mtime
    assert now <= time.monotonic()
    age(path, 601)
    await swept(one)
    assert files(response_folder) == []


@on_loop
async def test_what_others_stored_counts_after_a_look(open_store: Store) -> None:
    bounds = ResponseBounds(most_total_bytes=1000, most_client_bytes=1000)
    here, there = open_store(bounds), open_store(bounds, ages=ResponseAges(most_wait_s=0))
    await finished(here, bytes(700))
    writer = await begun(there)
    await swept(there)
    with pytest.raises(ResponseStoreFull):
        await writer.append(bytes(400))
    writer.close()


@on_loop
async def test_room_that_others_made_is_found_at_once(response_folder: Path, open_store: Store) -> None:
    bounds = ResponseBounds(most_total_bytes=1000, most_client_bytes=1000)
    one = open_store(bounds)
    for size in (462, 462, 40):  # the last one of the part for promises
        await finished(one, bytes(size))
    with pytest.raises(ResponseStoreFull):
        await one.begin(client=HOST)
    for path in files(response_folder):
        path.unlink()
    await finished(one, bytes(462))


async def settled_use(path: Path) -> None:
    """Wait until a store has noted that nobody reads the file any more."""
    async with asyncio.timeout(10):
        while os.stat(path).st_mtime > 0:  # noqa: ASYNC110, PTH116 - a store's thread sets no event
            await asyncio.sleep(0)
