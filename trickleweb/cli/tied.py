"""prctl(2) for processes: end with another, adopt orphans, set a name. Linux only."""

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
    """Return the function that a child calls between fork and exec to get SIGTERM when this process ends."""
    if not IS_LINUX:
        return None
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl

    def tied() -> None:
        prctl(_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before the call
            os.kill(os.getpid(), signal.SIGTERM)

    return tied


def end_with(parent: int) -> None:
    """Get SIGTERM when the parent ends, or now if it has ended."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def named(name: str) -> None:
    """Set the name of this process in ps(1) and top(1)."""
    ctypes.CDLL(None).prctl(_NAME, name.encode()[:_MOST_NAME_BYTES])


def adopt_orphans() -> bool:
    """Make descendants whose parent has ended children of this process; return whether that is supported."""
    return IS_LINUX and ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1) == 0
