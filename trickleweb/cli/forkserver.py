"""A process that has imported the modules of a fleet's processes, and forks one at each request of its supervisor.

Importing takes a Python process most of a second, forking one that has done so some milliseconds. A forked process must
be like a fresh one, so this process only imports and forks: it has one thread and no event loop, opens no file, draws
no random bytes, sets no signal handler, and imports nothing of the user's unless a program is to be preloaded. The
collector does not touch the imported objects (`gc.freeze`), so their pages stay shared.

A program may do anything while it is imported. If it fails, starts a thread or opens a socket, which processes cannot
share, this process says so and executes itself again without it: replicas then import the program themselves.

A request is one message on the socket to the supervisor: JSON, and three descriptors, which become standard output,
standard error, and the leash. The process is forked twice and the one between exits at once, so the new one becomes a
child of the supervisor, which is the reaper of orphans (PR_SET_CHILD_SUBREAPER of prctl(2)), and survives this process.
It ends with the supervisor, as all others do, sends its pid on the leash, and begins when it gets a byte back. A
supervisor that has stopped waiting closes the leash instead, and the late process exits before it has done anything: no
two processes ever contend for one port.

When an imported file changes, this process exits, and the supervisor starts the next: a replica always runs the code
that is installed now.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

from trickles.command import CommandFailed
from trickleweb.cli import build_parser
from trickleweb.cli.tied import end_with, named

MOST_REQUEST_BYTES = 1 << 17  # of a command line: Linux has no longer arguments
READY, GO = b"ready", b"go"
_ADOPTION_SECONDS, _LOOK_SECONDS = 2.0, 0.0005
_IMPORTED_LATE = ("cryptography.hazmat.backends.openssl.backend", "encodings.idna")  # by the first key and socket
Stamps = dict[str, tuple[int, int, int]]


class Job(NamedTuple):
    """The command that a new process runs."""

    module: str
    words: list[str]
    name: str
    supervisor: int


def main(argv: Sequence[str]) -> int:
    """Serve the supervisor at the other end of the socket; in a forked process, run its job.

    The arguments after its descriptor are modules, and programs as MODULE@DIR.
    """
    descriptor, *modules = argv
    for each in (*(each for each in modules if "@" not in each), *_IMPORTED_LATE):
        import_module(each)
    build_parser("replica")  # compiles regular expressions
    if reason := _preload([each for each in modules if "@" in each]):
        print(f"trickleweb: the program is not preloaded: {reason}", file=sys.stderr, flush=True)
        cold = [each for each in argv if "@" not in each]
        os.execv(sys.executable, [*interpreter(), "-m", "trickleweb.cli.forkserver", *cold])
    with socket.socket(fileno=int(descriptor)) as requests:
        job = serve(requests)
    return 0 if job is None else run(job)


def _preload(programs: Sequence[str]) -> str:
    """Import programs; return the reason why processes that have them cannot be forked, "" if they can."""
    from trickleweb.cli.loading import program_module

    before = _sockets()
    try:
        for each in programs:
            program_module(*each.split("@", 1))
    except CommandFailed as error:
        return str(error)
    if threading.active_count() > 1:
        return "it starts threads while it is imported"
    return "it opens sockets while it is imported" if _sockets() - before else ""


def _sockets() -> set[int]:
    """Return the inodes of the sockets of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - of text
        try:
            status = os.fstat(int(name))
        except OSError:  # that of the listing itself
            continue
        if stat.S_ISSOCK(status.st_mode):
            found.add(status.st_ino)
    return found


def serve(requests: socket.socket) -> Job | None:
    """Fork for each request until the supervisor is gone or a file has changed; return the job in a forked process."""
    gc.collect()
    gc.freeze()
    seen = stamps()
    requests.send(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, MOST_REQUEST_BYTES, 3)
        if not message or stamps() != seen:
            return None  # the leash closes, and the supervisor starts a process itself
        try:
            if _fork_twice():
                requests.close()
                return _begun(Job(**json.loads(message)), descriptors)
        except OSError:  # cannot fork now: as above, but keep serving
            pass
        for each in descriptors:
            os.close(each)


def stamps() -> Stamps:
    """Return the stamps of the imported files."""
    return dict(_stamped())


def _stamped() -> Iterator[tuple[str, tuple[int, int, int]]]:
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path:
            try:
                status = os.stat(path)  # noqa: PTH116 - of text: a path object costs more, and there are hundreds
            except OSError:
                yield path, (0, 0, 0)
            else:
                yield path, (status.st_ino, status.st_size, status.st_mtime_ns)


def _fork_twice() -> bool:
    """Fork twice; return whether this is the new process."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return False
    try:
        fresh = os.fork() == 0
    except OSError:
        os._exit(1)
    if not fresh:
        os._exit(0)
    return True


def _begun(job: Job, descriptors: list[int]) -> Job:
    """Set up the forked process, and wait for the supervisor's byte."""
    output, errors, leash = descriptors
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    os.setpgid(0, 0)  # Ctrl-C reaches the supervisor only
    deadline = time.monotonic() + _ADOPTION_SECONDS
    while os.getppid() != job.supervisor:
        if time.monotonic() > deadline:
            _leave()
        select.select([], [], [], _LOOK_SECONDS)
    end_with(job.supervisor)
    named(job.name)
    with socket.socket(fileno=leash) as connected:
        connected.send(str(os.getpid()).encode())
        if connected.recv(len(GO)) != GO:
            _leave()
    return job


def _leave() -> NoReturn:
    os._exit(0)


def run(job: Job) -> int:
    sys.argv[:] = [job.module, *job.words]
    sys.orig_argv[:] = [*interpreter(), "-m", job.module, *job.words]  # a gateway starts its successor with it
    signal.set_wakeup_fd(-1)
    return int(import_module(f"{job.module}.cli").main(job.words))


def interpreter() -> list[str]:
    """The command line of an interpreter that finds modules where this one does.

    `-m` alone would look for them in the working directory first: a `json.py` in a folder that is served would be run.
    """
    if sys.flags.isolated:
        return [sys.executable, "-I"]
    return [sys.executable, *([] if _looks_here() else ["-P"])]


def _looks_here() -> bool:
    """Return True if this process takes modules from the working directory, as one that `-m` started does."""
    if sys.flags.safe_path or not sys.path:
        return False
    try:
        return Path(sys.path[0]).samefile(".")
    except OSError:
        return False


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
