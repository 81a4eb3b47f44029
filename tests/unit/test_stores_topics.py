"""Topics in memory and in SQLite: the contract of both, and everything that can be wrong with a file."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.topics_contract import SMALL, Time, TopicsContract, Views
from trickleweb.stores import MemoryTopics, SqliteTopics, sqlite_topics
from trickleweb.stores.bells import Bell
from trickleweb.topics import TopicGap, TopicLimits, Topics, TopicsFull, TopicsUnavailable

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def waiting(run: Run, work: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    """Start work that waits; return what awaits its result."""

    async def started() -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        await asyncio.sleep(0)
        return task

    task = run(started())

    async def result() -> Any:
        return await task

    return result()


class TestMemory(TopicsContract):
    @pytest.fixture
    def views(self) -> Views:
        @asynccontextmanager
        async def opened(clock: Time, limits: TopicLimits, count: int) -> AsyncIterator[list[Topics]]:
            yield [MemoryTopics(limits=limits, clock_us=clock)] * count

        return opened


class TestSqlite(TopicsContract):
    @pytest.fixture
    def views(self, tmp_path: Path) -> Views:
        @asynccontextmanager
        async def opened(clock: Time, limits: TopicLimits, count: int) -> AsyncIterator[list[Topics]]:
            made = [SqliteTopics(tmp_path / "topics", limits=limits, clock_us=clock) for _ in range(count)]
            yield list(made)
            for each in made:
                await each.close()

        return opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "topics"


@pytest.fixture
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def topics(path: Path, run: Run) -> Iterator[SqliteTopics]:
    opened = SqliteTopics(path)
    yield opened
    run(opened.close())


def test_memory_is_bounded_in_all(run: Run) -> None:
    topics = MemoryTopics(limits=TopicLimits(total_bytes=100))
    run(topics.publish("a", bytes(60)))
    with pytest.raises(TopicsFull):
        run(topics.publish("b", bytes(60)))
    assert run(topics.publish("b", bytes(40))) == 1


def test_entries_survive_their_process(path: Path, run: Run) -> None:
    first = SqliteTopics(path)
    run(first.publish("a", b"1", "k"))
    kept = run(first.kept("a"))
    second = SqliteTopics(path)  # the first was killed
    assert (run(second.read("a", 0, 1, kept.incarnation))).entries[0].data == b"1"
    assert run(second.publish("a", b"1", "k")) == 1
    for each in (first, second):
        run(each.close())


def test_news_come_without_datagrams_too(path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(Bell, "ring", lambda _: None)
    monkeypatch.setattr(sqlite_topics, "LOOK_S", 0.01)
    one, other = SqliteTopics(path), SqliteTopics(path)
    waits = waiting(run, one.wait({"a": 0}))
    run(other.publish("a", b"1"))
    assert run(waits) == {"a"}
    for each in (one, other):
        run(each.close())


def test_a_boot_gives_new_incarnations_unless_entries_are_durable(
    path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    first = SqliteTopics(path)
    run(first.publish("a", b"1"))
    known = (run(first.kept("a"))).incarnation
    run(first.close())
    monkeypatch.setattr(sqlite_topics, "_boot_id", lambda: "later")
    durable = SqliteTopics(path, durable=True)
    assert (run(durable.kept("a"))).incarnation == known
    run(durable.close())
    monkeypatch.setattr(sqlite_topics, "_boot_id", lambda: "still later")
    after = SqliteTopics(path)
    with pytest.raises(TopicGap):
        run(after.read("a", 0, 1, known))
    assert (run(after.read("a", 0, 1))).entries[0].data == b"1"
    run(after.close())


def test_a_removed_file_is_made_again_with_another_incarnation(path: Path, topics: SqliteTopics, run: Run) -> None:
    run(topics.publish("a", b"1"))
    known = (run(topics.kept("a"))).incarnation
    for each in path.parent.glob("topics*"):
        if each.is_file():
            each.unlink()
    assert run(topics.publish("a", b"new")) == 1
    with pytest.raises(TopicGap):
        run(topics.read("a", 1, 1, known))


def test_a_removed_directory_makes_it_unavailable(path: Path, run: Run) -> None:
    topics = SqliteTopics(path.parent / "gone" / "topics")
    with pytest.raises(TopicsUnavailable):
        run(topics.publish("a", b"1"))
    (path.parent / "gone").mkdir()
    assert run(topics.publish("a", b"1")) == 1
    run(topics.close())


def test_other_files_are_refused_and_left_as_they_are(path: Path, run: Run) -> None:
    path.write_bytes(b"not a database, but somebody's file" * 100)
    topics = SqliteTopics(path)
    path.chmod(0o600)
    with pytest.raises(TopicsUnavailable):
        run(topics.publish("a", b"1"))
    assert path.read_bytes().startswith(b"not a database")
    run(topics.close())


def test_a_file_of_another_release_is_refused(path: Path, topics: SqliteTopics, run: Run) -> None:
    path.touch(0o600)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(TopicsUnavailable, match=r"another release \(9\)"):
        run(topics.kept("a"))


def test_a_public_file_or_a_link_is_refused(path: Path, topics: SqliteTopics, run: Run) -> None:
    path.touch(0o600)
    path.chmod(0o666)
    with pytest.raises(TopicsUnavailable):
        run(topics.kept("a"))
    path.unlink()
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(TopicsUnavailable):
        run(topics.kept("a"))


def test_a_locked_file_is_unavailable_and_publishes_nothing(path: Path, run: Run) -> None:
    topics = SqliteTopics(path, wait_s=0.01)
    run(topics.publish("a", b"1"))
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    with pytest.raises(TopicsUnavailable, match="locked"):
        run(topics.publish("a", b"2"))
    assert len((run(topics.read("a", 0, 9))).entries) == 1
    database.execute("ROLLBACK")
    assert run(topics.publish("a", b"2")) == 2
    database.close()
    run(topics.close())


async def publish_many(topics: SqliteTopics, count: int) -> None:
    for _ in range(count):
        await topics.publish("a", bytes(60_000))


def test_a_full_file_publishes_nothing(path: Path, run: Run) -> None:
    topics = SqliteTopics(path, limits=TopicLimits(total_bytes=1 << 18))
    with pytest.raises(TopicsFull):
        run(publish_many(topics, 10))
    kept = run(topics.kept("a"))
    assert len(run(topics.read("a", 0, 99)).entries) == kept.last > 0
    run(topics.close())


def test_closed_topics_end_those_who_wait(path: Path, run: Run) -> None:
    topics = SqliteTopics(path)
    waits = waiting(run, topics.wait({"a": 0}))
    run(topics.kept("a"))
    run(topics.close())
    with pytest.raises(TopicsUnavailable):
        run(waits)
    with pytest.raises(TopicsUnavailable):
        run(topics.kept("a"))


def test_a_store_inherited_through_a_fork_is_refused(
    topics: SqliteTopics, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    run(topics.kept("a"))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(TopicsUnavailable, match="fork"):
        run(topics.kept("a"))


def test_old_topics_are_swept_while_others_are_published(path: Path, run: Run) -> None:
    clock = Time()
    topics = SqliteTopics(path, limits=SMALL, clock_us=clock)
    run(topics.publish("a", b"1"))
    clock.now += 3000
    for _ in range(sqlite_topics._SWEEP_EVERY):
        run(topics.publish("b", b"1"))
    assert (run(topics.kept("a"))).incarnation == ""
    run(topics.close())


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    made = Bell(tmp_path / "bells")
    yield made
    made.close()


def test_bells_of_dead_processes_are_removed(tmp_path: Path, bell: Bell) -> None:
    dead = Bell(tmp_path / "bells")
    dead._socket.close()
    (tmp_path / "bells" / "no-socket").touch()
    bell.ring()
    assert len(list((tmp_path / "bells").iterdir())) == 1
    os.close(dead._folder)


def test_a_bell_rings_at_another_one(tmp_path: Path, bell: Bell) -> None:
    other = Bell(tmp_path / "bells")
    for _ in range(1000):  # more than its buffer holds
        bell.ring()
    assert os.read(other.fileno(), 1) == b""
    other.heard()
    with pytest.raises(BlockingIOError):
        os.read(other.fileno(), 1)
    other.close()
