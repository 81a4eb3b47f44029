"""Containment of exceptions that a program raises in its request: they end this request only.

An exception that is no `Exception` passes every usual handler: `BaseExceptionGroup` of a task group, `GeneratorExit`,
those of extension modules (a panic, a timeout), `SystemExit`. Left alone it would end a task without a reply, or the
loop. Where the code of programs is called, it becomes `BrokenOff`, an error like any other. On threads that has to
happen before a future gets it: a `GeneratorExit` of a future closes the coroutines that wait for it, one by one, and
`Contained` would answer a caller that is closed next; a future cannot hold a `StopIteration`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from trickleweb.errors import WebError

T = TypeVar("T")


class BrokenOff(WebError):
    """A program raised an exception that is no `Exception`, or one that a future cannot pass on."""


class Contained:
    """Raises `BrokenOff` in place of a program's exception that is no `Exception`; `what` begins its text.

    Passed on are the cancellation of the current task, and the interrupt of a user at a terminal.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Exception) or _comes_from_outside(error):
            return
        raise BrokenOff(f"{self._what} ended with {error!r}") from error


def contained(what: str, call: Callable[[], T]) -> T:
    """Return the result of a program's function, called on a thread; raise as `Contained`, also for StopIteration."""
    try:
        return call()
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        raise BrokenOff(f"{what} ended with {error!r}") from error


def _comes_from_outside(error: BaseException) -> bool:
    """Return whether it is the cancellation of the current task, the end of a coroutine, or a user's interrupt.

    Servers handle SIGINT, so that a `KeyboardInterrupt` is the program's.
    """
    import asyncio  # only here: a replica of files needs none

    if isinstance(error, KeyboardInterrupt):
        return signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs: a coroutine may be closed after its loop
        return isinstance(error, GeneratorExit)
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
