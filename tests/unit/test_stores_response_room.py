"""The room in a folder of responses: which files are removed, and what counts for the bounds."""

from pathlib import Path

import pytest

from tests.support.onloop import on_loop
from tests.support.response_folders import Store, age, begun, files, finished, swept
from trickleweb.errors import ResponseStoreFull
from trickleweb.response_store import ResponseBounds
from trickleweb.stores.response_room import ResponseAges


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
    swept(one)
    assert len(files(response_folder)) == 3
    assert await open_store().read(name, 0, 10) is None
    assert await open_store().read(other, 0, 10) is not None
    writer.close()
    age(next(path for path in files(response_folder) if path.name.startswith(writer.name[:16].hex())), 61)
    swept(one)
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
    assert files(response_folder)[0].stat().st_mtime < now - 200
    await young.read(name, 0, 10)
    assert files(response_folder)[0].stat().st_mtime >= now


@on_loop
async def test_a_crowded_store_forgets_sooner(response_folder: Path, open_store: Store) -> None:
    one = open_store(ResponseBounds(most_total_bytes=1000, most_client_bytes=1000))
    await finished(one, bytes(300))
    age(files(response_folder)[0], 100)
    swept(one)
    assert len(files(response_folder)) == 1
    await finished(one, bytes(300))
    swept(one)
    swept(one)  # the first found it crowded
    assert len(files(response_folder)) == 1


@on_loop
async def test_what_others_stored_counts_after_a_look(open_store: Store) -> None:
    bounds = ResponseBounds(most_total_bytes=1000, most_client_bytes=1000)
    here, there = open_store(bounds), open_store(bounds)
    await finished(here, bytes(900))
    writer = await begun(there)
    swept(there)
    with pytest.raises(ResponseStoreFull):
        await writer.append(bytes(200))
    writer.close()
