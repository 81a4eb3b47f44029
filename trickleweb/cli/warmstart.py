"""The supervisor's side of a fork server: kept up, asked for processes, and never relied upon.

Whatever is wrong with it (gone, stopped, out of date, out of memory) costs a start its speed and nothing else: the
process is then forked by the next one, or started as a command line.
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

ANSWER_SECONDS = 1.0  # that a fork may take; it takes milliseconds
TRIES = 2  # the second one by another fork server, as the first may have been out of date
PATIENCE_SECONDS = 5.0  # to wait for its imports before a process is started without it
IMPORT_SECONDS = 60.0  # that they may take on a slow machine
_PID_BYTES = 32


class ForkedCommand(NamedTuple):
    """A module of this installation, such as `trickleweb`, and the words for it; the name is what ps(1) shows."""

    module: str
    words: tuple[str, ...]
    name: str

    def argv(self, *, bytecode: bool = True) -> list[str]:
        return python_module(self.module, *self.words, bytecode=bytecode)


class Cold(Exception):
    """There is no fork server, or it gives no process; the text says why."""


class WarmStart:
    """Starts processes: by the fork server if that can be, else as command lines. `modules` are imported once, there.

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
        """Of the fork server, None while none is ready."""
        return None if self._server is None else self._server.process.pid

    async def keep(self) -> None:
        """Keep a fork server up until this is cancelled; OSError, SubprocessError or `Cold` when it does not start."""
        if not adopt_orphans():
            self._settled.set()
            return
        try:
            while True:
                self._settled.clear()
                await self._serve()
        finally:
            self._server = None
            self._settled.set()  # nobody waits for what does not come

    async def ready(self) -> None:
        """Wait until the fork server can be asked, or does not become ready soon."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._settled.wait()
        except TimeoutError:
            return

    async def start(self, command: ForkedCommand) -> Process:
        """Start a process; OSError or subprocess.SubprocessError when that cannot be.

        A fork server that is importing is waited for: several processes that import at once would take longer.
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
        """It is asked no more; who wants to start a process waits for the next one."""
        if self._server is server:
            self._server = None
            self._settled.clear()

    async def _serve(self) -> None:
        """Have a fork server until it has ended."""
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
            self._report(f"the fork server ended, with {server.process.returncode}")


class ForkServer:
    """One fork server."""

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
        """Wait for the end of its imports; `Cold` when it ends instead, TimeoutError when they take too long."""
        async with asyncio.timeout(IMPORT_SECONDS):
            if await asyncio.get_running_loop().sock_recv(self._requests, len(READY)) != READY:
                raise Cold(f"it did not start ({await self.process.wait()})")

    async def fork(self, command: ForkedCommand) -> Process:
        """A process; `Cold` or OSError when it gives none, and should be replaced."""
        with ExitStack() as undo:
            output = await Pipe.made()
            undo.callback(output.abandon)
            errors = await Pipe.made()
            undo.callback(errors.abandon)
            leash, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with leash:
                with theirs:
                    self._ask(command, [output.inner, errors.inner, theirs.fileno()])
                pid = await _said_pid(leash)
                process = Process(pid, output, errors)
                leash.send(GO)
            undo.pop_all()
        output.release()
        errors.release()
        return process

    async def end(self) -> None:
        """End it, and let go of it; what was forked goes on."""
        self.process.kill()
        await self.process.wait()
        self._requests.close()
        await asyncio.gather(*self._relays, return_exceptions=True)
        self.process.close()

    def _ask(self, command: ForkedCommand, descriptors: list[int]) -> None:
        job = {"module": command.module, "words": command.words, "name": command.name, "supervisor": os.getpid()}
        socket.send_fds(self._requests, [json.dumps(job).encode()], descriptors)


async def _said_pid(leash: socket.socket) -> int:
    """The pid of what was forked, which is this process's child by now."""
    leash.setblocking(False)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            said = await asyncio.get_running_loop().sock_recv(leash, _PID_BYTES)
    except TimeoutError:
        raise Cold("the fork server does not answer, and is replaced") from None
    if not said.isdigit():
        raise Cold
    check_child(int(said))
    return int(said)


async def _relay(source: asyncio.StreamReader) -> None:
    while data := await source.read(READ_BYTES):
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()


def python_module(name: str, *words: str, bytecode: bool = True) -> list[str]:
    """The command line for a module of this installation; it leaves no bytecode where that may outlive its source."""
    return [*interpreter(), *([] if bytecode else ["-B"]), "-m", name, *words]
