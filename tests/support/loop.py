"""Coroutines of tests, run to their end on a loop of their own, or failed when it does not come."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 30.0  # for what takes none: before a test hangs it fails


def on_loop(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine."""

    async def patiently() -> T:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await work

    return asyncio.run(patiently())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until that holds; the test's own bound ends it when it never does."""
    while not condition():  # noqa: ASYNC110 - what is waited for is inside the code under test
        await asyncio.sleep(0)
