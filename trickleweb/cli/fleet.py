"""A fleet on one machine: its replicas and its gateway, started, kept up, and ended together."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trickleweb.cli.child import Child
from trickleweb.cli.keykeeper import LOOK_SECONDS, KeyKeeper
from trickleweb.cli.parser import Address, CommandFailed, address, shown
from trickleweb.cli.reload import Reloader
from trickleweb.cli.rundir import FLEET, GATEWAY, RunDir, replica_name

_ANY_HOST = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """What to start; `listen` is None for no gateway, the words are for the command lines of the processes.

    `command` and `what` are for people to read; `words` are those of the replica of an index, about what it serves.
    """

    command: str
    what: str
    words: Callable[[int], Sequence[str]]
    replicas: int
    listen: Address | None
    udp: Address
    run_dir: Path
    keyring: str | None
    replica_words: tuple[str, ...]
    gateway_words: tuple[str, ...]
    scheme: str
    reuse_port: bool
    respawn: bool
    reloader: Reloader | None = None


class Fleet:
    """The supervisor; it serves nothing itself, and its death ends all the others."""

    def __init__(self, options: FleetOptions) -> None:
        self._options = options
        self._run_dir = RunDir(options.run_dir)
        self._keys = KeyKeeper(self._run_dir.keys, options.keyring, self._tell)
        self._places = [self._place(index) for index in range(options.replicas)]
        self._replicas = [self._replica(index) for index in range(options.replicas)]
        self._gateway = None if options.listen is None else Child(GATEWAY, self._gateway_words, self._run_dir)
        self._listen = options.listen
        self._started = int(time.time())

    async def serve(self) -> None:
        """Start all, tell the address, keep all up until SIGTERM or SIGINT, end all; `CommandFailed` at the start."""
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        with self._run_dir.held():
            self._keys.prepare(self._run_dir.server_key)
            try:
                await self._until(stop)
            finally:
                await asyncio.gather(*(child.stop() for child in self._children()))
                self._run_dir.sweep()

    async def _until(self, stop: asyncio.Event) -> None:
        told = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(self._start())
        await asyncio.wait({told, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await _cancelled(starting)
            return
        starting.result()
        keeping = [asyncio.create_task(self._keep(child)) for child in self._children()]
        keeping.append(asyncio.create_task(self._keep_keys()))
        if self._options.reloader is not None:
            keeping.append(asyncio.create_task(self._options.reloader.keep(self._replicas, self._tell)))
        await told
        for each in keeping:
            await _cancelled(each)

    async def _start(self) -> None:
        lines = await asyncio.gather(*(child.start() for child in self._replicas), return_exceptions=True)
        failed = next((line for line in lines if isinstance(line, BaseException)), None)
        if failed is not None:
            raise failed
        self._places = [_told_place(str(line)) for line in lines]
        if self._gateway is not None:
            assert self._listen is not None
            self._listen = (self._listen[0], _told_port(await self._gateway.start()))
        self._note()
        print(self._announcement(), flush=True)

    async def _keep(self, child: Child) -> None:
        if self._options.respawn:
            await child.keep(self._tell)
        await child.ended()
        self._tell(f"{child.name} ended")

    def _tell(self, text: str) -> None:
        print(f"trickleweb {self._options.command}: {text}", file=sys.stderr)
        self._note()

    def _children(self) -> list[Child]:
        return [*self._replicas, *([self._gateway] if self._gateway else [])]

    async def _keep_keys(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._keys.look()

    def _place(self, index: int) -> Address:
        host, port = self._options.udp
        return host, port if self._options.reuse_port or port == 0 else port + index

    def _replica(self, index: int) -> Child:
        name, run_dir = replica_name(index), self._run_dir

        def argv() -> Sequence[str]:
            shared = ["--reuse-port"] if self._options.reuse_port else []
            files = ["--status-file", str(run_dir.status_file(name))]
            where = ["--udp", shown(self._places[index]), "--keyring", self._keys.place]
            options = self._options
            words = [*where, *shared, *files, *options.replica_words, *options.words(index)]
            return python_module("trickleweb", "replica", *words, bytecode=options.reloader is None)

        return Child(name, argv, run_dir)

    def _gateway_words(self) -> Sequence[str]:
        assert self._listen is not None
        places = dict.fromkeys((_ANY_HOST.get(host, host), port) for host, port in self._places)
        replicas = [word for place in places for word in ("--replica", shown(place))]
        status = str(self._run_dir.status_file(GATEWAY))
        files = ["--server-key", str(self._run_dir.server_key), "--status-file", status]
        files += ["--pid-file", str(self._run_dir.pid_file(GATEWAY)), "--end-with", str(os.getpid())]
        host, port = self._listen
        where = ["--listen", shown((host or "0.0.0.0", port))]  # a gateway is told where, even if that is everywhere
        return python_module("trickles", "gateway", *where, *replicas, *files, *self._options.gateway_words)

    def _note(self) -> None:
        """Tell what `status` and `get` want to know."""
        restarts = {child.name: child.restarts for child in self._children()}
        udp = [shown(place) for place in self._places]
        own: dict[str, object] = {"pid": os.getpid(), "started": self._started}
        self._run_dir.note(FLEET, own | {"url": self._url(), "udp": udp, "restarts": restarts})

    def _url(self) -> str | None:
        if self._listen is None:
            return None
        host, port = self._listen
        return f"{self._options.scheme}://{shown((_ANY_HOST.get(host, host), port))}/"

    def _announcement(self) -> str:
        count, url = self._options.replicas, self._url()
        replicas = f"{count} replica{'s' if count > 1 else ''}"
        udp = ", ".join(dict.fromkeys(shown(place) for place in self._places))
        what = f"{url} serves {self._options.what}" if url else f"{self._options.what} is served"
        return f"{what} through {replicas} (UDP {udp})"


def python_module(name: str, *words: str, bytecode: bool = True) -> list[str]:
    """The command line for a module of this installation; it leaves no bytecode where that may outlive its source."""
    return [sys.executable, *([] if bytecode else ["-B"]), "-m", name, *words]


def _told_place(line: str) -> Address:
    """The address at the end of a line such as `replica on 127.0.0.1:8443`."""
    try:
        return address(line.rpartition(" ")[2])
    except argparse.ArgumentTypeError:
        raise CommandFailed(f"a replica said what it should not: {line}") from None


def _told_port(line: str) -> int:
    """The first port in a line such as `gateway on 127.0.0.1:8080 for 3 replicas`."""
    port = line.partition(" for ")[0].partition(",")[0].rpartition(":")[2]
    if not port.isdecimal():
        raise CommandFailed(f"the gateway said what it should not: {line}")
    return int(port)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
