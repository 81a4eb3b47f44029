"""A process that has imported what a fleet's processes need, and forks one whenever its supervisor asks.

Importing takes a Python process most of a second, forking one that has done so some milliseconds. What is forked must
be as if it had been started afresh, so this process does nothing but import and fork: it has one thread and no event
loop, opens no file, draws no random bytes, sets no signal handler, and imports nothing of the user's. The collector
does not touch what was imported (`gc.freeze`), so the pages stay shared.

A request is one message on the socket to the supervisor: JSON, and three descriptors, which become standard output,
standard error, and the leash. The process is forked twice, and the one between ends at once: so the new one becomes a
child of the supervisor, which made itself the reaper of orphans (PR_SET_CHILD_SUBREAPER of prctl(2)), and the death of
this process concerns nobody. It ends with the supervisor, as all others do, says its pid on the leash, and begins once
it gets a byte back. A supervisor that has stopped waiting closes the leash instead, and the late one ends before it has
done anything: no two processes ever contend for one port.

When a file changes that was imported, this process ends, and the supervisor starts the next: a replica always runs what
is installed now.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

from trickleweb.cli import build_parser
from trickleweb.cli.tied import end_with, named

MOST_REQUEST_BYTES = 1 << 17  # of a command line; Linux has no longer words either
READY, GO = b"ready", b"go"
_ADOPTION_SECONDS, _LOOK_SECONDS = 2.0, 0.0005
_IMPORTED_LATE = ("cryptography.hazmat.backends.openssl.backend", "encodings.idna")  # with the first key, and socket
Stamps = dict[str, tuple[int, int, int]]


class Job(NamedTuple):
    """What a new process is to run, and as what."""

    module: str
    words: list[str]
    name: str
    supervisor: int


def main(argv: Sequence[str]) -> int:
    """Serve the supervisor at the other end of the socket; in a process that was forked, run its job."""
    descriptor, *modules = argv
    for each in (*modules, *_IMPORTED_LATE):
        import_module(each)
    build_parser("replica")  # and the regular expressions that it compiles
    with socket.socket(fileno=int(descriptor)) as requests:
        job = serve(requests)
    return 0 if job is None else run(job)


def serve(requests: socket.socket) -> Job | None:
    """Fork for each request until the supervisor is gone, or a file has changed. Returns the job in what was forked."""
    gc.collect()
    gc.freeze()
    seen = stamps()
    requests.send(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, MOST_REQUEST_BYTES, 3)
        if not message or stamps() != seen:
            return None  # with the leash closed, the supervisor helps itself
        try:
            if _fork_twice():
                requests.close()
                return _begun(Job(**json.loads(message)), descriptors)
        except OSError:  # no process can be forked now: as above, but later ones may
            pass
        for each in descriptors:
            os.close(each)


def stamps() -> Stamps:
    """The files that were imported from, as they are now."""
    return dict(_stamped())


def _stamped() -> Iterator[tuple[str, tuple[int, int, int]]]:
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path:
            try:
                status = os.stat(path)  # noqa: PTH116 - of text: there are hundreds
            except OSError:
                yield path, (0, 0, 0)
            else:
                yield path, (status.st_ino, status.st_size, status.st_mtime_ns)


def _fork_twice() -> bool:
    """Whether this is the new process."""
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
    """Become what the supervisor wants, and wait for its word."""
    output, errors, leash = descriptors
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    os.setpgid(0, 0)  # a Ctrl-C is for the supervisor
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
    """Run the command; its exit code."""
    sys.argv[:] = [job.module, *job.words]
    sys.orig_argv[:] = [*interpreter(), "-m", job.module, *job.words]  # a gateway starts its successor by it
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
    """Whether this process was started so that it takes modules from the working directory, by `-m` itself."""
    if sys.flags.safe_path or not sys.path:
        return False
    try:
        return Path(sys.path[0]).samefile(".")
    except OSError:
        return False


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
