"""Facts about processes, read from /proc (proc(5)); a process that is gone reads as nothing, not as an error."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
NANOSECONDS = 10**9

# Places in /proc/PID/stat counted from the field after the closing parenthesis of the name.
STATE, PARENT, USER_TICKS, SYSTEM_TICKS, THREADS = 0, 1, 11, 12, 17


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, or None if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    fields = stat_fields(pid)
    return fields is not None and fields[STATE] not in "ZX"


def parents() -> dict[int, int]:
    """Parent of every process: {pid: parent pid}."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))) is not None:
            found[int(entry.name)] = int(fields[PARENT])
    return found


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, nearest first; `pid` itself is not among them."""
    family, above = parents(), [pid]
    for ancestor in above:
        above.extend(child for child, parent in family.items() if parent == ancestor)
    return above[1:]


def tree(pid: int) -> list[int]:
    """The process and everything below it."""
    return [pid, *descendants(pid)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system seconds the processes used so far: exact for one thread, else in steps of 10 ms each."""
    return sum(process_cpu_seconds(pid) for pid in pids)


def process_cpu_seconds(pid: int) -> float:
    """The same for one process; 0 if it is gone."""
    if (fields := stat_fields(pid)) is None:
        return 0.0
    if fields[THREADS] == "1":
        try:
            return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / NANOSECONDS
        except (FileNotFoundError, ProcessLookupError):
            pass  # gone meanwhile, or a kernel without scheduler statistics
    return (int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])) / TICKS_PER_SECOND


def resident_bytes(pids: Sequence[int]) -> int:
    """Resident memory of the processes together; pages they share are counted once per process."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total
