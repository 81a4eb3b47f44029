"""The supervisor's side of a fork server: kept running, asked for processes, and never required.

If it fails (ended, stopped, out of date, out of memory), starts are slower and nothing else: the process is then forked
by the next one, or started as a command line.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from trickleweb.cli.forkserver import GO, READY, interpreter
from trickleweb.cli.launch import READ_BYTES, Pipe, Process, check_child, launched
from trickleweb.cli.tied import adopt_orphans

ANSWER_SECONDS = 1.0  # for a fork, which takes milliseconds
TRIES = 2  # the second by another fork server, as the first may be out of date
PATIENCE_SECONDS = 5.0  # to wait for its imports before starting a process without it
IMPORT_SECONDS = 60.0  # for its imports on a slow machine
_PID_BYTES = 32


class ForkedCommand(NamedTuple):
    """A module of this installation, such as `trickleweb`, with its arguments; the name is shown by ps(1)."""

    module: str
    words: tuple[str, ...]
    name: str

    def argv(self, *, bytecode: bool = True) -> list[str]:
        return python_module(self.module, *self.words, bytecode=bytecode)


class Cold(Exception):
    """There is no fork server, or its fork failed; the text gives the reason."""


class WarmStart:
    """Starts processes: by the fork server if possible, else as command lines. `modules` are imported once, there.

    Without `bytecode` no process writes any.
    """

    def __init__(self, modules: Sequence[str], report: Callable[[str], None], *, bytecode: bool = True) -> None:
        self._modules = modules
        self._report = report
        self._bytecode = bytecode
        self._server: ForkServer | None = None  # once it is ready
        self._settled = asyncio.Event()  # it is ready, or will not be

    @property
    def pid(self) -> int | None:
        """The pid of the fork server, None while none is ready."""
        return None if self._server is None else self._server.process.pid

    async def keep(self) -> None:
        """Keep a fork server running until cancelled; raise OSError, SubprocessError or `Cold` when it does not
        start.
        """
        if not adopt_orphans():
            self._settled.set()
            return
        try:
            while True:
                self._settled.clear()
                await self._serve()
        finally:
            self._server = None
            self._settled.set()  # ends all waiting

    async def ready(self) -> None:
        """Wait until the fork server is ready, or will not be soon."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._settled.wait()
        except TimeoutError:
            return

    async def start(self, command: ForkedCommand) -> Process:
        """Start a process; raise OSError or subprocess.SubprocessError.

        Waits for a fork server that is importing: several processes that import at once would take longer.
        """
        for _ in range(TRIES):
            await self.ready()
            if (server := self._server) is None:
                break
            try:
                return await server.fork(command)
            except (Cold, OSError) as error:
                if str(error):
                    self._report(str(error))
                server.process.kill()
                self._lost(server)
        return await launched(command.argv(bytecode=self._bytecode))

    def _lost(self, server: ForkServer) -> None:
        """Forget a server; starts wait for the next one."""
        if self._server is server:
            self._server = None
            self._settled.clear()

    async def _serve(self) -> None:
        """Run one fork server until it ends."""
        server = await ForkServer.started(self._modules, bytecode=self._bytecode)
        try:
            await server.until_ready()
            self._server = server
            self._settled.set()
            await server.process.wait()
        finally:
            self._lost(server)
            await server.end()
        if server.process.returncode:
            self._report(f"the fork server ended with status {server.process.returncode}")


class ForkServer:
    """One fork server process, and the socket to it."""

    def __init__(self, process: Process, requests: socket.socket) -> None:
        self.process = process
        self._requests = requests
        self._relays = [asyncio.create_task(_relay(each)) for each in (process.output, process.errors)]

    @classmethod
    async def started(cls, modules: Sequence[str], *, bytecode: bool) -> ForkServer:
        """Start one that imports those modules."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, ExitStack() as undo:
            undo.callback(ours.close)
            ours.setblocking(False)
            words = [str(theirs.fileno()), *modules]
            argv = python_module("trickleweb.cli.forkserver", *words, bytecode=bytecode)
            server = cls(await launched(argv, keep=(theirs.fileno(),)), ours)
            undo.pop_all()
        return server

    async def until_ready(self) -> None:
        """Wait for the end of its imports; raise `Cold` when it ends instead, TimeoutError when they take too long."""
        async with asyncio.timeout(IMPORT_SECONDS):
            if await asyncio.get_running_loop().sock_recv(self._requests, len(READY)) != READY:
                raise Cold(f"it did not start ({await self.process.wait()})")

    async def fork(self, command: ForkedCommand) -> Process:
        """Fork a process; raise `Cold` or OSError when that fails and the server should be replaced."""
        with ExitStack() as undo:
            output = await Pipe.made()
            undo.callback(output.abandon)
            errors = await Pipe.made()
            undo.callback(errors.abandon)
            leash, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with leash:
                with theirs:
                    self._ask(command, [output.inner, errors.inner, theirs.fileno()])
                pid = await _pid_from(leash)
                process = Process(pid, output, errors)
                leash.send(GO)
            undo.pop_all()
        output.release()
        errors.release()
        return process

    async def end(self) -> None:
        """End it and release its socket; forked processes go on."""
        self.process.kill()
        await self.process.wait()
        self._requests.close()
        await asyncio.gather(*self._relays, return_exceptions=True)
        self.process.close()

    def _ask(self, command: ForkedCommand, descriptors: list[int]) -> None:
        job = {"module": command.module, "words": command.words, "name": command.name, "supervisor": os.getpid()}
        socket.send_fds(self._requests, [json.dumps(job).encode()], descriptors)


async def _pid_from(leash: socket.socket) -> int:
    """Return the pid of the forked process, which is this process's child by now."""
    leash.setblocking(False)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            data = await asyncio.get_running_loop().sock_recv(leash, _PID_BYTES)
    except TimeoutError:
        raise Cold("the fork server does not answer and is replaced") from None
    if not data.isdigit():
        raise Cold
    check_child(int(data))
    return int(data)


async def _relay(source: asyncio.StreamReader) -> None:
    while data := await source.read(READ_BYTES):
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()


def python_module(name: str, *words: str, bytecode: bool = True) -> list[str]:
    """Return the command line for a module of this installation; -B where bytecode could outlive its source."""
    return [*interpreter(), *([] if bytecode else ["-B"]), "-m", name, *words]
