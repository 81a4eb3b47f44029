"""An ASGI program that forks a child for each request, which outlives its replica, and notes both."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
FORK = multiprocessing.get_context("fork")
pools: list[ProcessPoolExecutor] = []


def work() -> None:
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as file:
        file.write(f"{os.getppid()} {os.getpid()}\n")
    signal.pause()


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """`/process` forks one, `/pool` has a pool's worker do the work; neither ever answers."""
    if scope["type"] == "http":
        if scope["path"] == "/pool":
            pools.append(ProcessPoolExecutor(1, FORK))
            pools[-1].submit(work)
        else:
            FORK.Process(target=work).start()
        await asyncio.Event().wait()
