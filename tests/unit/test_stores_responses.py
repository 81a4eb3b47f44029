"""Response stores: what every one of them promises."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.onloop import ENDINGS, on_loop
from tests.support.redis import shared_server
from trickleweb.errors import ResponseStoreFull, ResponseStoreUnavailable
from trickleweb.response_store import Growth, ResponseBounds, ResponseStore, ResponseWriter, StoredPart
from trickleweb.stores import FolderResponses, MemoryResponses, SharedResponses
from trickleweb.stores.redis import RedisResponses
from trickleweb.stores.response_room import ResponseAges

SMALL = ResponseBounds(
    most_bytes=100, most_total_bytes=330, most_client_bytes=220, most_responses=4, most_client_responses=3
)


class MemoryMachine:
    """A store's replicas on one machine: `replica` opens one more view, `kill` ends one as its process's death does."""

    def __init__(self, bounds: ResponseBounds) -> None:
        self._shared = SharedResponses(bounds)

    def replica(self) -> MemoryResponses:
        return MemoryResponses(self._shared)


class FolderMachine:
    """The same with a folder."""

    def __init__(self, bounds: ResponseBounds, root: Path) -> None:
        self._bounds = bounds
        self._root = root
        self.opened: list[FolderResponses] = []

    def replica(self) -> FolderResponses:
        self.opened.append(FolderResponses(self._root, self._bounds, ages=ResponseAges(most_wait_s=0)))
        return self.opened[-1]


class RedisMachine:
    """The same with a server that all machines share."""

    def __init__(self, bounds: ResponseBounds) -> None:
        self._bounds = bounds
        self._url = shared_server().url(prefix=f"responses{next(_numbers)}")

    def replica(self) -> RedisResponses:
        made = RedisResponses(self._url, self._bounds)
        ENDINGS.append(made.close)
        return made


Machine = MemoryMachine | FolderMachine | RedisMachine
_numbers = iter(range(1000))
ON_REDIS = [pytest.mark.e2e, pytest.mark.xdist_group("redis")]
pytestmark = pytest.mark.usefixtures("redis_server")


async def close(store: ResponseStore) -> None:
    """End the use of a store, as the end of its process does."""
    if isinstance(store, RedisResponses):
        await store.close()
    else:
        store.close()  # type: ignore[attr-defined]


@pytest.fixture(params=["memory", "folder", pytest.param("redis", marks=ON_REDIS)])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Machine]]:
    machines: list[FolderMachine] = []

    def make() -> Machine:
        if request.param == "memory":
            return MemoryMachine(SMALL)
        if request.param == "redis":
            return RedisMachine(SMALL)
        machines.append(FolderMachine(SMALL, tmp_path / f"{len(machines)}"))
        return machines[-1]

    yield make
    for store in [each for one in machines for each in one.opened]:
        store.close()


async def begun(store: ResponseStore, head: bytes = b"head", client: bytes = b"host") -> ResponseWriter:
    writer = await store.begin(client=client)
    await writer.start(head)
    return writer


async def part(store: ResponseStore, name: bytes, at: int = 0, most: int = 1000) -> StoredPart:
    found = await store.read(name, at, most)
    assert found is not None
    return found


async def settled(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what a store does soon."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - a store's thread sets no event
            await asyncio.sleep(0)


async def ended(store: ResponseStore, name: bytes) -> StoredPart:
    async def is_ended() -> bool:
        return (await part(store, name)).growth is not Growth.OPEN

    await settled(is_ended)
    return await part(store, name)


class TestEveryStore:
    @on_loop
    async def test_all_replicas_read_what_one_stores(self, machine: Callable[[], Machine]) -> None:
        here, there = (one := machine()).replica(), one.replica()
        writer = await begun(here)
        for store in (here, there):
            assert await part(store, writer.name) == StoredPart(b"head", b"", 0, Growth.OPEN)
        await writer.append(b"some ")
        await writer.append(memoryview(b"more"))
        for store in (here, there):
            assert await part(store, writer.name) == StoredPart(b"head", b"some more", 9, Growth.OPEN)
            assert await part(store, writer.name, 3, 4) == StoredPart(b"head", b"e mo", 9, Growth.OPEN)
            assert await part(store, writer.name, 9) == StoredPart(b"head", b"", 9, Growth.OPEN)
        await writer.append(b"", last=True)
        writer.close()
        for store in (here, there, one.replica()):
            assert await part(store, writer.name) == StoredPart(b"head", b"some more", 9, Growth.COMPLETE)

    @on_loop
    async def test_replicas_of_one_store_have_one_identity(self, machine: Callable[[], Machine]) -> None:
        one = machine()
        here, there, elsewhere = one.replica(), one.replica(), machine().replica()
        for store in (here, there, elsewhere):
            (await store.begin(client=b"host")).close()
        assert len(here.store_id) == 32
        assert here.store_id == there.store_id != elsewhere.store_id

    @on_loop
    async def test_names_are_never_used_twice(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        writers = [await store.begin(client=b"") for _ in range(3)]
        assert len({writer.name for writer in writers}) == 3
        assert all(16 <= len(writer.name) <= 32 for writer in writers)

    @on_loop
    async def test_what_is_not_here_is_none(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        for name in (bytes(16), b"", bytes(1000), b"../../../etc/passwd"):
            assert await store.read(name, 0, 10) is None
            await store.wait(name, 0)

    @on_loop
    async def test_what_was_not_started_is_nothing(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        writer = await store.begin(client=b"host")
        assert await store.read(writer.name, 0, 10) is None
        writer.close()
        assert await store.read(writer.name, 0, 10) is None

    @on_loop
    async def test_what_is_closed_before_its_end_is_cut(self, machine: Callable[[], Machine]) -> None:
        here, there = (one := machine()).replica(), one.replica()
        writer = await begun(here)
        await writer.append(b"half")
        writer.close()
        for store in (here, there):
            assert await ended(store, writer.name) == StoredPart(b"head", b"half", 4, Growth.CUT)

    @on_loop
    async def test_what_a_dead_process_wrote_is_cut(self, machine: Callable[[], Machine]) -> None:
        here, there = (one := machine()).replica(), one.replica()
        writer, finished = await begun(here), await begun(here)
        await writer.append(b"half")
        await finished.append(b"", last=True)
        await close(here)
        assert await ended(there, writer.name) == StoredPart(b"head", b"half", 4, Growth.CUT)
        assert await part(there, finished.name) == StoredPart(b"head", b"", 0, Growth.COMPLETE)

    @pytest.mark.parametrize("step", ["append", "complete", "close"])
    @on_loop
    async def test_those_who_wait_wake_up(self, machine: Callable[[], Machine], step: str) -> None:
        here, there = (one := machine()).replica(), one.replica()
        writer = await begun(here)
        await writer.append(b"12")
        waiting = [asyncio.create_task(_grown(store, writer.name, 2)) for store in (here, there)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        if step == "append":
            await writer.append(b"3")
        elif step == "complete":
            await writer.append(b"", last=True)
        else:
            writer.close()
        async with asyncio.timeout(10):
            await asyncio.gather(*waiting)
        writer.close()

    @on_loop
    async def test_those_who_wait_for_what_is_there_do_not_wait(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        writer = await begun(store)
        await writer.append(b"12")
        await store.wait(writer.name, 1)
        await writer.append(b"", last=True)
        await store.wait(writer.name, 2)
        writer.close()

    @on_loop
    async def test_a_wait_that_is_cancelled_leaves_the_others(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        writer = await begun(store)
        first, second = (asyncio.create_task(_grown(store, writer.name, 0)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await writer.append(b"1")
        async with asyncio.timeout(10):
            await second
        writer.close()

    @on_loop
    async def test_a_response_has_a_bound(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        writer = await begun(store)
        await writer.append(bytes(96))
        with pytest.raises(ResponseStoreFull):
            await writer.append(b"x")
        writer.close()
        assert (await ended(store, writer.name)).size == 96

    @on_loop
    async def test_a_client_has_a_bound_of_bytes(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        for _ in range(2):
            writer = await begun(store)
            await writer.append(bytes(96))
            await writer.append(b"", last=True)
            writer.close()
        third = await begun(store)
        with pytest.raises(ResponseStoreFull):
            await third.append(bytes(50))
        third.close()
        other = await begun(store, client=b"other")
        await other.append(bytes(96))
        other.close()

    @on_loop
    async def test_all_have_a_bound_of_bytes(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        first, second, third = [await begun(store, client=bytes([number])) for number in range(3)]
        for writer in (first, second, third):
            await writer.append(bytes(96))
        fourth = await begun(store, client=b"fourth")
        with pytest.raises(ResponseStoreFull):
            await fourth.append(bytes(50))
        for writer in (first, second, third, fourth):
            writer.close()

    @on_loop
    async def test_the_number_of_responses_has_bounds(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        for _ in range(3):
            (await begun(store)).close()
        with pytest.raises(ResponseStoreFull):
            await store.begin(client=b"host")
        (await begun(store, client=b"other")).close()
        with pytest.raises(ResponseStoreFull):
            await store.begin(client=b"third")

    @on_loop
    async def test_nothing_is_stored_after_the_end(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        complete, cut = await begun(store), await begun(store)
        await complete.append(b"", last=True)
        cut.close()
        for writer in (complete, cut):
            with pytest.raises(ResponseStoreUnavailable):
                await writer.append(b"more")
            writer.close()
            writer.close()
        assert (await part(store, complete.name)).growth is Growth.COMPLETE

    @on_loop
    async def test_an_empty_head_is_a_head(self, machine: Callable[[], Machine]) -> None:
        store = machine().replica()
        writer = await begun(store, b"")
        await writer.append(b"")
        await writer.append(b"", last=True)
        assert await part(store, writer.name) == StoredPart(b"", b"", 0, Growth.COMPLETE)
        writer.close()


async def _grown(store: ResponseStore, name: bytes, beyond: int) -> None:
    """Wait until there is more, or no more comes, whatever wakes it in between."""
    while True:
        now = await part(store, name)
        if now.size > beyond or now.growth is not Growth.OPEN:
            return
        await store.wait(name, beyond)
