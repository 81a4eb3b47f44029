"""What prctl(2) says of a process: that it ends with another, adopts orphans, and is called by a name. Linux only."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PDEATHSIG, _NAME, _CHILD_SUBREAPER = 1, 15, 36  # PR_SET_*
_MOST_NAME_BYTES = 15
IS_LINUX = sys.platform.startswith("linux")


def tie() -> Callable[[], None] | None:
    """What a child calls between fork and exec, so that it gets SIGTERM when this process is gone."""
    if not IS_LINUX:
        return None
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl

    def tied() -> None:
        prctl(_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was gone before it was tied
            os.kill(os.getpid(), signal.SIGTERM)

    return tied


def end_with(parent: int) -> None:
    """Let this process get SIGTERM when its parent is gone, or now if it is by now."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def named(name: str) -> None:
    """Let ps(1) and top(1) call this process by that name."""
    ctypes.CDLL(None).prctl(_NAME, name.encode()[:_MOST_NAME_BYTES])


def adopt_orphans() -> bool:
    """Let descendants whose parent has ended become children of this process; whether that can be had."""
    return IS_LINUX and ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1) == 0
