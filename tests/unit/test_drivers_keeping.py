"""Chores, tasks and threads that fail: the others go on, and so do they."""

import asyncio
import itertools
import threading
from collections.abc import Iterator

import pytest

from tests.support.loop import on_loop
from trickles.drivers import bookkeeping
from trickles.drivers.chores import Chores
from trickles.drivers.keeping import kept_going, kept_thread, pause


@pytest.fixture(autouse=True)
def _nothing_has_failed() -> Iterator[None]:
    bookkeeping.failures.clear()
    yield
    bookkeeping.failures.clear()


def test_a_chore_that_fails_ends_neither_the_others_nor_itself() -> None:
    done, reports, clock = list[str](), list[str](), itertools.count()
    chores = Chores(reports.append, lambda: float(next(clock)))

    def broken() -> None:
        done.append("broken")
        raise MemoryError("no more")

    chores.every(0, "broken", broken)
    chores.every(0, "sound", lambda: done.append("sound"))
    for _ in range(3):
        chores.tick()
    assert done == ["broken", "sound"] * 3
    assert reports == ["broken: MemoryError: no more"]
    assert bookkeeping.failures["broken"] == 3


def test_trouble_is_reported_again_once_it_was_over() -> None:
    reports, errors = list[str](), iter([OSError("full"), OSError("full"), None, OSError("full"), OSError("gone")])

    def chore() -> None:
        if (error := next(errors)) is not None:
            raise error

    chores = Chores(reports.append)
    chores.every(0, "figures", chore)
    for _ in range(5):
        chores.tick()
    assert reports == ["figures: OSError: full", "figures: OSError: full", "figures: OSError: gone"]


def test_in_a_hurry_all_is_due() -> None:
    done, moment = list[str](), [0.0]
    chores = Chores(clock=lambda: moment[0])
    chores.every(60, "rarely", lambda: done.append("rarely"))
    chores.tick()
    chores.tick()
    assert done == ["rarely"]
    chores.hurry()
    chores.tick()
    assert done == ["rarely", "rarely"]


def test_a_task_that_fails_is_reported_counted_and_begun_again() -> None:
    reports, begun = list[str](), list[int]()

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) < 4:
            raise RuntimeError(f"for the {len(begun)}. time")

    on_loop(kept_going("discovery", work, reports.append, first_pause=0))
    assert begun == [0, 1, 2, 3]
    assert reports[0] == "discovery failed, and is begun again: RuntimeError: for the 1. time"
    assert len(reports) == bookkeeping.failures["discovery"] == 3


def test_a_kept_task_can_be_cancelled() -> None:
    async def test() -> None:
        task = asyncio.create_task(kept_going("waiting", lambda: asyncio.sleep(3600), print))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    on_loop(test())


def test_a_thread_that_fails_is_begun_again() -> None:
    reports, begun, over = list[str](), list[str](), threading.Event()

    def work() -> None:
        begun.append(threading.current_thread().name)
        if len(begun) < 3:
            raise OverflowError("too large")
        over.set()

    thread = kept_thread("hashing", work, reports.append, first_pause=0)
    thread.join()
    assert over.is_set()
    assert begun == ["hashing"] * 3
    assert reports == ["hashing failed, and is begun again: OverflowError: too large"] * 2


def test_pauses_grow_with_failures_in_a_row() -> None:
    assert [pause(failures) for failures in range(8)] == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert pause(10_000) == 5.0
