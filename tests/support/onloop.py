"""Tests that are coroutines: each runs on an event loop of its own."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")


def on_loop(test: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Decorate a test that is a coroutine function."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run
