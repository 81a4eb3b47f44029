"""What a process holds, read from /proc (proc(5))."""

import os
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Footprint:
    """Open descriptors, and resident memory in bytes."""

    descriptors: int
    resident_bytes: int


def footprint(pid: int) -> Footprint:
    """Of a process of ours, now."""
    proc = Path(f"/proc/{pid}")
    resident = int((proc / "statm").read_text().split()[1]) * PAGE_BYTES
    return Footprint(len(os.listdir(proc / "fd")), resident)  # noqa: PTH208  # names are enough
