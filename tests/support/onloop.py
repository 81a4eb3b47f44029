"""Tests that are coroutines: each runs on an event loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")
ENDINGS: list[Callable[[], Awaitable[object]]] = []  # called on the loop at the end of the test that is running


def on_loop(test: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Decorate a test that is a coroutine function."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def whole() -> None:
            try:
                await test(*args, **kwargs)
            finally:
                while ENDINGS:
                    await ENDINGS.pop()()

        asyncio.run(whole())

    return run
