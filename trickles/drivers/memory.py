"""Settings of the C library's allocator: it keeps freed memory, and gives it back on request.

Bursts are 64 KiB blocks, allocated thousands of times a second. With glibc's defaults each one at the top of the heap
is given back to the kernel and faulted in again, which costs more than sealing it. Only commands call this: a library
does not change its host's allocator. Freed blocks below others are kept for ever unless they are given back.
"""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # <malloc.h>
_KEEP_BYTES = 64 << 20


def keep_freed_memory() -> bool:
    """Keep up to 64 MiB of freed memory in this process; return False where the C library has no mallopt(3)."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        settings = ((_TRIM_THRESHOLD, _KEEP_BYTES), (_TOP_PAD, 4 << 20), (_MMAP_THRESHOLD, 16 << 20))
        return all(mallopt(option, value) for option, value in settings)
    return False


def give_back_freed_memory() -> bool:
    """Give free pages back to the system (malloc_trim(3)); return False when there were none, or no such call."""
    with contextlib.suppress(AttributeError, OSError):
        return bool(ctypes.CDLL(None).malloc_trim(0))
    return False
