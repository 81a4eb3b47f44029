"""What holds for every test: properties are checked on the same examples each time, and a failure can be replayed.

`--hypothesis-profile=long` looks further, on fresh random examples; use it by hand.
"""

import ctypes
import gc
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

UNTIMED = [HealthCheck.too_slow]  # a busy machine is no fault of a test
settings.register_profile(
    "suite", derandomize=True, deadline=None, print_blob=True, database=None, suppress_health_check=UNTIMED
)
settings.register_profile("long", deadline=None, print_blob=True, max_examples=10_000, suppress_health_check=UNTIMED)
settings.load_profile("suite")
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup(1) ignores it, and what the tests start would do so, too


MUCH_BYTES = 64 << 20
_least = [0]  # resident memory behind the last collection


def resident_bytes() -> int:
    """Of this process; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def grown() -> bool:
    """Whether much memory has come into use since the least that was seen lately."""
    now = resident_bytes()
    _least[0] = min(_least[0] or now, now)
    return now > _least[0] + MUCH_BYTES


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of all collections of garbage, which then cost little.

    Simulated replicas hold each other in cycles, with replay filters of megabytes. As long as each full collection had
    to look at all modules and tests, Python put it off until a gigabyte of them lay about.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Undo what a test does to the path of modules: loading a program puts its folder first."""
    before = sys.path[:]
    try:
        yield
    finally:
        sys.path[:] = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Collect what tests have left, behind each file or when it is much, and give the memory back where that can be.

    What is alive behind a file, its fixtures being gone, lives on: modules and caches. Later collections leave it out.
    """
    yield
    over = nextitem is None or nextitem.path != item.path
    if over or grown():
        gc.collect()
        if over:
            gc.freeze()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)
        _least[0] = resident_bytes()


@pytest.fixture(scope="module")
def clusters() -> Iterator[None]:
    """End the database server that tests of a module share, if they started one."""
    yield
    from tests.support.ledger_houses import close_clusters

    close_clusters()


@pytest.fixture(scope="module")
def redis_server() -> Iterator[None]:
    """End what `tests.support.redis.shared_server` starts, with the module."""
    yield
    from tests.support.redis import close_server

    close_server()
