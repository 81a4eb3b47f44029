"""Ask the C library to keep freed memory: bursts are 64 KiB blocks that come and go thousands of times a second.

With glibc's defaults each one at the top of the heap is given back to the kernel and faulted in again, which costs
more than sealing it. For whole processes of ours only: a library does not change its host's allocator. What was held
for long by many is given back when they have gone: freed blocks below others are kept for ever otherwise.
"""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # <malloc.h>
_KEEP_BYTES = 64 << 20


def keep_freed_memory() -> bool:
    """Keep up to 64 MiB of freed memory in this process; False where the C library has no mallopt(3)."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        settings = ((_TRIM_THRESHOLD, _KEEP_BYTES), (_TOP_PAD, 4 << 20), (_MMAP_THRESHOLD, 16 << 20))
        return all(mallopt(option, value) for option, value in settings)
    return False


def give_back_freed_memory() -> bool:
    """Let the system have the pages that are free (malloc_trim(3)); False where there was nothing, or no such call."""
    with contextlib.suppress(AttributeError, OSError):
        return bool(ctypes.CDLL(None).malloc_trim(0))
    return False
