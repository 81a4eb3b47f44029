"""How much work a call does, counted and not timed: lines of the package that it runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import trickles

PACKAGE = str(Path(trickles.__file__).parent)


def lines(call: Callable[[], object]) -> int:
    """Run `call`; returns how many lines of the package it executed; loops inside C functions count once."""
    count = 0

    def within(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return within

    def entered(frame: FrameType, event: str, argument: Any) -> Any:
        return within if frame.f_code.co_filename.startswith(PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        call()
    finally:
        sys.settrace(before)
    return count
