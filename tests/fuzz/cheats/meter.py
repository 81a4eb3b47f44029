"""Work and memory of one call, counted and not timed, so that every run gives the same figures."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any, Generic, NamedTuple, TypeVar

Result = TypeVar("Result")


class TooMuchWork(BaseException):
    """The call was stopped at the limit; not an Exception, so that nothing on the way takes it for one of its own."""


class Cost(NamedTuple, Generic[Result]):
    """What a call returned, how many functions it called, built-in ones too, and its peak of new memory."""

    result: Result | None
    calls: int
    peak_bytes: int
    stopped: bool = False


def measured(call: Callable[[], Result], *, most_calls: int, memory: bool) -> Cost[Result]:
    """Run `call`, stop it when it makes more than `most_calls` calls; the peak is 0 without `memory`."""
    calls, before = 0, sys.getprofile()

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call"):  # a generator's every step is a call too
            calls += 1
            if calls > most_calls:
                raise TooMuchWork

    if memory:
        tracemalloc.start()
    sys.setprofile(note)
    try:
        result = call()
    except TooMuchWork:
        return Cost(None, calls, _peak(memory), stopped=True)
    finally:
        sys.setprofile(before)
        peak = _peak(memory)
        if memory:
            tracemalloc.stop()
    return Cost(result, calls, peak)


def _peak(memory: bool) -> int:
    return tracemalloc.get_traced_memory()[1] if memory else 0
