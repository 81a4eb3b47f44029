"""The machine's boot: what device and inode numbers belong to."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@lru_cache(maxsize=1)
def this_boot() -> bytes:
    """A name for this boot of this machine, equal in all its processes; only this process's where there is no such."""
    try:
        return Path(_BOOT_ID).read_bytes().strip()[:64]
    except OSError:
        return os.urandom(16)
