"""The causes of bad days: each is brought about, and taken away again, without touching the fleet's own doings."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.bad_days.fleet import Fleet, comm
from benchmarks.support import procfs

SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
FAKETIME = ("/usr/lib", "*/faketime/libfaketimeMT.so.1")
HOUR = 3600
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: how the fleet is started for it, how it strikes, and how much must be served meanwhile at least."""

    name: str
    strikes: Callable[[Fleet], AbstractContextManager[None]]
    fleet: Callable[[Path, Path], Fleet] = Fleet
    problem: Callable[[], str | None] = lambda: None
    kills: bool = False
    least_share: float = 0.0
    may_end: bool = False  # a replica, in a library that aborts; it is started again


@contextmanager
def disk_full(fleet: Fleet) -> Iterator[None]:
    """Not a byte is left where the run directory is."""
    filler = fleet.disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def disk_read_only(fleet: Fleet) -> Iterator[None]:
    """Nothing can be written where the run directory is."""
    fleet.run_in_its_namespace("mount", "--bind", "{disk}", "{disk}")
    fleet.run_in_its_namespace("mount", "-o", "remount,bind,ro", "{disk}")
    try:
        yield
    finally:
        fleet.run_in_its_namespace("mount", "-o", "remount,bind,rw", "{disk}")


@contextmanager
def run_directory_removed(fleet: Fleet) -> Iterator[None]:
    """Somebody tidied up."""
    shutil.rmtree(fleet.disk / "run", ignore_errors=True)
    yield


@contextmanager
def readers_gone(fleet: Fleet) -> Iterator[None]:
    """The log shipper has crashed."""
    for each in fleet.readers:
        each.close()
    yield


@contextmanager
def reader_stuck(fleet: Fleet) -> Iterator[None]:
    """The log shipper does not read, and the pipe is full."""
    for each in fleet.readers:
        inner = os.open(f"/proc/self/fd/{each.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while os.write(inner, bytes(4096)):
                pass
        os.close(inner)
    yield


@contextmanager
def nothing(_fleet: Fleet) -> Iterator[None]:
    """All is well, but for what was so from the start."""
    yield


@contextmanager
def limited(limit: int, room: Callable[[int], int], fleet: Fleet) -> Iterator[None]:
    """Each process may have so much of a resource, and no more."""
    before = {pid: resource.prlimit(pid, limit) for pid in fleet.family()}
    for pid, (_, hard) in before.items():
        with suppress(ProcessLookupError):
            resource.prlimit(pid, limit, (room(pid), hard))
    try:
        yield
    finally:
        for pid in fleet.family():  # those that were started meanwhile have it from their parents
            with suppress(ProcessLookupError):
                resource.prlimit(pid, limit, before[fleet.pid])


def few_descriptors(pid: int) -> int:
    """One more than a process has."""
    return max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 2  # noqa: PTH208 - it lists descriptors


def no_memory(pid: int) -> int:
    """A quarter of a megabyte more than a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * procfs.PAGE_BYTES + (1 << 18)


@contextmanager
def signalled(number: int, whom: Callable[[Fleet], list[int]], fleet: Fleet) -> Iterator[None]:
    """Some of the processes get a signal; those that were stopped go on in the end."""
    struck = whom(fleet)
    for pid in struck:
        os.kill(pid, number)
    try:
        yield
    finally:
        for pid in struck:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def everybody(fleet: Fleet) -> list[int]:
    """All processes of the fleet."""
    return fleet.family()


def named(*names: str) -> Callable[[Fleet], list[int]]:
    """Processes by name."""
    return lambda fleet: [pid for name, pid in fleet.processes().items() if name in names]


def supervisor(fleet: Fleet) -> list[int]:
    """The supervisor alone."""
    return [fleet.pid]


def fork_server(fleet: Fleet) -> list[int]:
    """The process that others are forked from."""
    known = fleet.processes().values()
    return [pid for pid in fleet.family() if pid != fleet.pid and pid not in known and comm(pid)]


@contextmanager
def starved(fleet: Fleet) -> Iterator[None]:
    """All cores are busy with what is more important."""
    for pid in fleet.family():
        os.setpriority(os.PRIO_PROCESS, pid, 19)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


@contextmanager
def clock_steps(seconds: int, fleet: Fleet) -> Iterator[None]:
    """The wall clock jumps, and jumps back in the end."""
    set_clock(fleet.disk, seconds)
    try:
        yield
    finally:
        set_clock(fleet.disk, 0)


def set_clock(disk: Path, seconds: int) -> None:
    """Let the processes that look at that file be so many seconds ahead."""
    fresh = disk / "fresh-clock"
    fresh.write_text(f"{seconds:+d}")
    fresh.replace(disk / "clock")


def with_false_clock(site: Path, disk: Path) -> Fleet:
    """A fleet whose wall clock can be set; the monotonic one goes on, as it does when a clock is really set."""
    library = next(Path(FAKETIME[0]).glob(FAKETIME[1]))
    set_clock(disk, 0)
    clock = {"FAKETIME_TIMESTAMP_FILE": str(disk / "clock"), "FAKETIME_CACHE_DURATION": "0"}
    clock |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    return Fleet(site, disk, environment={"LD_PRELOAD": str(library), **clock})


def no_mounts() -> str | None:
    """Why no file system can be mounted here."""
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    tried = subprocess.run(
        [shutil.which("unshare", path=SEARCH) or "false", "--mount", "--propagation", "private", "true"],
        capture_output=True,
        check=False,
    )
    return "no mount namespaces here" if tried.returncode else None


def no_faketime() -> str | None:
    """Why no clock can be set here."""
    found = next(Path(FAKETIME[0]).glob(FAKETIME[1]), None)
    return None if found is not None else "libfaketime is not installed (Debian: faketime)"


on_small_disk = partial(Fleet, mounted=True)
of_program = partial(Fleet, program="benchmarks.bad_days.program:app")
CAUSES = (
    Cause("disk full", disk_full, on_small_disk, no_mounts, kills=True, least_share=HALF),
    Cause("disk read-only", disk_read_only, on_small_disk, no_mounts, kills=True, least_share=HALF),
    Cause("run directory removed", run_directory_removed, kills=True, least_share=HALF),
    Cause("disk full, a program", disk_full, partial(of_program, mounted=True), no_mounts, kills=True),
    Cause("disk read-only, a program", disk_read_only, partial(of_program, mounted=True), no_mounts, kills=True),
    Cause("run directory removed, a program", run_directory_removed, of_program, kills=True, least_share=HALF),
    Cause("readers of stdout and stderr gone", readers_gone, kills=True, least_share=HALF),
    Cause("reader of stdout and stderr stuck", reader_stuck, kills=True, least_share=HALF),
    Cause("stdout and stderr closed", nothing, partial(Fleet, streams="closed"), kills=True, least_share=HALF),
    Cause("few descriptors", partial(limited, resource.RLIMIT_NOFILE, few_descriptors)),
    Cause("no memory", partial(limited, resource.RLIMIT_AS, no_memory), may_end=True),
    Cause(
        "clock an hour ahead", partial(clock_steps, HOUR), with_false_clock, no_faketime, kills=True, least_share=HALF
    ),
    Cause(
        "clock an hour back", partial(clock_steps, -HOUR), with_false_clock, no_faketime, kills=True, least_share=HALF
    ),
    Cause("SIGHUP to all", partial(signalled, signal.SIGHUP, everybody), kills=True, least_share=HALF),
    Cause("SIGSTOP to a replica", partial(signalled, signal.SIGSTOP, named("replica-0")), least_share=HALF),
    Cause("SIGSTOP to all replicas", partial(signalled, signal.SIGSTOP, named("replica-0", "replica-1"))),
    Cause("SIGSTOP to the gateway", partial(signalled, signal.SIGSTOP, named("gateway"))),
    Cause("SIGSTOP to the supervisor", partial(signalled, signal.SIGSTOP, supervisor), least_share=0.9),
    Cause("SIGSTOP to the fork server", partial(signalled, signal.SIGSTOP, fork_server), kills=True),
    Cause("SIGKILL to the fork server", partial(signalled, signal.SIGKILL, fork_server), kills=True, least_share=0.2),
    Cause("no CPU time", starved, kills=False),
)
