"""Startup and shutdown of an application; shutdown undoes startup in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from trickleweb.app.pool import is_async
from trickleweb.application import Application

Hook = Callable[[], Any]


class Lifespan:
    """The context manager, the hooks and the mounted applications; a failed start leaves nothing started."""

    def __init__(self) -> None:
        self.starting: list[Hook] = []
        self.stopping: list[Hook] = []
        self._stack: AsyncExitStack | None = None

    async def start(
        self, context: AbstractAsyncContextManager[Any] | None, applications: Iterable[Application]
    ) -> None:
        """Enter the context, call the hooks in order, start the applications; RuntimeError if started already."""
        if self._stack is not None:
            raise RuntimeError("the application has been started already")
        async with AsyncExitStack() as stack:
            if context is not None:
                await stack.enter_async_context(context)
            for hook in self.stopping:
                stack.push_async_callback(_called, hook)
            for hook in self.starting:
                await _called(hook)
            for each in applications:
                await each.startup()
                stack.push_async_callback(each.shutdown)
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Undo `start` in reverse, if it succeeded."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()


async def _called(hook: Hook) -> None:
    """Call a hook; a plain one gets a thread of its own, so that busy handlers do not delay the end."""
    await (hook() if is_async(hook) else asyncio.to_thread(hook))
