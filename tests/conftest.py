"""What holds for every test: properties are checked on the same examples each time, and a failure can be replayed.

`--hypothesis-profile=long` looks further, on fresh random examples; use it by hand.
"""

import ctypes
import gc

import pytest
from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True, database=None)
settings.register_profile("long", deadline=None, print_blob=True, max_examples=10_000)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of all collections of garbage, which then cost little.

    Simulated replicas hold each other in cycles, with replay filters of megabytes. As long as each full collection had
    to look at all modules and tests, Python put it off until a gigabyte of them lay about.
    """
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Collect what a file's tests have left, and give the memory back, where the C library can: it would keep it."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)
