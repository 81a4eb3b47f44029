"""Child processes of a supervisor: started, read, awaited and reaped on its asyncio loop, without threads.

A process is watched through its own descriptor (pidfd_open(2)), so that a reused pid is never waited for or signalled.
It may have been forked by another process, as long as it is a child of this one now.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial

from trickleweb.cli.tied import tie

READ_BYTES = 1 << 16
_watched: set[int] = set()  # children that a `Process` will reap


class Process:
    """A child of this process; `output` and `errors` are the readers of its pipes.

    Raises OSError when it cannot be watched; then it is killed. `reap` waits for its end and returns the exit status.
    """

    def __init__(
        self,
        pid: int,
        output: Pipe,
        errors: Pipe,
        reap: Callable[[], int] | None = None,
    ) -> None:
        self.pid = pid
        self.output, self.errors = output.reader, errors.reader
        self._pipes = output, errors
        self.returncode: int | None = None  # as in subprocess: negative for a signal
        self._reap = reap or partial(reaped, pid)
        self._ended = asyncio.Event()
        try:
            self._descriptor = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            self._reap()
            raise
        _watched.add(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._over)

    @property
    def is_silent(self) -> bool:
        """True if its pipes have ended: all processes that held them have."""
        return self.output.at_eof() and self.errors.at_eof()

    async def wait(self) -> int:
        """Wait for its end; return its exit status."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        for each in self._pipes:
            each.abandon()

    def _over(self) -> None:
        self.returncode = self._reap()
        _watched.discard(self.pid)
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._ended.set()


def reaped(pid: int) -> int:
    """Wait for the end of a child; return its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check_child(pid: int) -> None:
    """Raise ChildProcessError if `pid` is no child of this process."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def reap_orphans() -> None:
    """Reap dead processes that became children of this one when their parents ended."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in _watched:
            return
        reaped(found.si_pid)


async def launched(words: Sequence[str], *, keep: Iterable[int] = ()) -> Process:
    """Start a command line that ends with this process; raise OSError or subprocess.SubprocessError.

    It inherits only the descriptors `keep`. Ctrl-C does not reach it: its starter ends it.
    """
    with ExitStack() as undo:
        output = await Pipe.made()
        undo.callback(output.abandon)
        errors = await Pipe.made()
        undo.callback(errors.abandon)
        started = subprocess.Popen(  # noqa: ASYNC220 - it returns once the program is executed
            words,
            stdin=subprocess.DEVNULL,
            stdout=output.inner,
            stderr=errors.inner,
            preexec_fn=tie(),  # noqa: PLW1509 - it calls prctl(2) and nothing else
            process_group=0,
            pass_fds=tuple(keep),
        )
        process = Process(started.pid, output, errors, started.wait)
        undo.pop_all()
    output.release()
    errors.release()
    return process


class Pipe:
    """A pipe from a new process: `inner` is the process's end, until `release`."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport, inner: int) -> None:
        self.reader = reader
        self.inner = inner
        self._transport = transport

    @classmethod
    async def made(cls) -> Pipe:
        """Return a new pipe; raise OSError when the system has no more descriptors."""
        outer, inner = os.pipe()
        reader = asyncio.StreamReader(READ_BYTES)
        file = os.fdopen(outer, "rb", 0)
        try:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), file
            )
        except BaseException:
            file.close()
            os.close(inner)
            raise
        return cls(reader, transport, inner)

    def release(self) -> None:
        if self.inner >= 0:
            os.close(self.inner)
            self.inner = -1

    def abandon(self) -> None:
        self.release()
        self._transport.close()
