"""A fleet on one machine: its replicas and its gateway, started, restarted, and ended together.

Only a signal ends the supervisor. Each of its permanent jobs is a task of `kept_going`: one that fails is reported and
begun again. Printing and status files are bookkeeping: they never raise and never wait (`guard_standard_streams`,
`RunDir`). Its chores restore files that were removed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from trickles.drivers import bookkeeping
from trickles.drivers.addresses import shown
from trickles.drivers.bookkeeping import flush_standard_streams, guard_standard_streams
from trickles.drivers.chores import Chores
from trickles.drivers.keeping import kept_going
from trickles.drivers.keystore import fleet_identity, load_keyring, write_server_key
from trickles.drivers.notices import ManagerNotices
from trickles.printable import one_line
from trickleweb.cli import keykeeper
from trickleweb.cli.child import GRACE, Child
from trickleweb.cli.fleet_commands import FleetCommands, FleetOptions, listening_address, listening_port
from trickleweb.cli.keycopy import KeyCopy
from trickleweb.cli.keykeeper import KeyKeeper
from trickleweb.cli.launch import reap_orphans
from trickleweb.cli.rundir import FLEET, GATEWAY, RunDir, replica_name
from trickleweb.cli.status import Totals
from trickleweb.cli.warmstart import WarmStart

LOOK_SECONDS = 0.5  # between runs of the chores
PATIENT_SECONDS = 1.0  # replicas that are not at work end sooner
_WAITING = "waiting for unsafe requests, at most %g s; another SIGTERM or SIGINT ends them"


class Supervisor:
    """The supervisor; it serves nothing itself, and its death ends all the others."""

    def __init__(self, options: FleetOptions) -> None:
        self._options = options
        self._notices = ManagerNotices()
        self._run_dir = RunDir(options.run_dir)
        self._run_dir.report = self._report
        self._keys = KeyKeeper(self._run_dir.keys, options.keyring, self._report)
        self._commands = FleetCommands(options, self._run_dir)
        self._warm = WarmStart(self._commands.modules, self._report, bytecode=options.reloader is None)
        self._replicas = [self._replica(index) for index in range(options.replicas)]
        self._gateway = None
        if options.listen is not None:
            self._gateway = Child(
                GATEWAY, self._commands.gateway, self._run_dir, self._warm.start, self._run_dir.control_socket(GATEWAY)
            )
        self._totals = Totals()
        self._started = int(time.time())
        self._copy: KeyCopy | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(self) -> None:
        """Start all, print the address, restart what ends until SIGTERM or SIGINT, then end all; raise `CommandFailed`
        at the start.
        """
        guard_standard_streams()
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, self._signalled, stop)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._pass_on_hangup)
        with self._run_dir.held():
            self._keys.prepare(self._run_dir.server_key)
            self._copy = KeyCopy(self._run_dir.keys) if self._options.keyring is None else None
            try:
                await self._until(stop)
            finally:
                await self._stop()
                await self._end_tasks()
                self._run_dir.sweep()

    async def _until(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        self._begin("fork server", self._warm.keep)
        starting = asyncio.create_task(self._start())
        await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await _cancelled(starting)
            return
        starting.result()
        for child in self._children():
            self._begin(child.name, self._keeper(child))
        if (reloader := self._options.reloader) is not None:
            self._begin("reload", lambda: reloader.keep(self._replicas, self._report))
        self._begin("chores", self._look_after_all)
        await stopped
        await self._end_tasks()

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(kept_going(name, work, self._report)))

    async def _end_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        for each in reversed(tasks):  # the fork server last: others use it
            await _cancelled(each)

    async def _start(self) -> None:
        await self._warm.ready()
        lines = await asyncio.gather(*(child.start() for child in self._replicas), return_exceptions=True)
        failed = next((line for line in lines if isinstance(line, BaseException)), None)
        if failed is not None:
            raise failed
        self._commands.places = [listening_address(str(line)) for line in lines]
        if self._gateway is not None:
            assert self._commands.listen is not None
            self._commands.listen = (self._commands.listen[0], listening_port(await self._gateway.start()))
        self._note()
        print(self._commands.announcement(), flush=True)
        self._notices.ready()

    def _keeper(self, child: Child) -> Callable[[], Awaitable[None]]:
        async def keep() -> None:
            if self._options.respawn:
                await child.keep(self._report)
            await child.ended()
            self._report(f"{child.name} ended")

        return keep

    async def _look_after_all(self) -> None:
        """Run the chores: restore removed files, rotate keys, write figures, reap orphans."""
        chores = Chores(self._report)
        chores.every(LOOK_SECONDS, "keys", self._look_at_keys)
        chores.every(keykeeper.LOOK_SECONDS, "rotation", self._keys.look)
        chores.every(LOOK_SECONDS, "run directory", self._run_dir.look)
        chores.every(LOOK_SECONDS, "figures", self._note)
        chores.every(LOOK_SECONDS, "log", flush_standard_streams)
        chores.every(LOOK_SECONDS, "orphans", reap_orphans)
        chores.every(0, "service manager", self._notices.look)
        while True:
            chores.tick()
            await asyncio.sleep(min(LOOK_SECONDS, self._notices.every))

    def _signalled(self, stop: asyncio.Event) -> None:
        """End all; at the next signal, at once."""
        if stop.is_set():
            for child in self._replicas:
                child.signal(signal.SIGTERM)
        stop.set()

    async def _stop(self) -> None:
        """End the replicas, and after them the gateway, by which their last responses reach the clients.

        Until then it accepts no more connections.
        """
        loop, drain = asyncio.get_running_loop(), self._options.drain
        self._notices.stopping()
        if self._gateway is not None:
            self._gateway.signal(signal.SIGUSR1)
        notice = loop.call_later(PATIENT_SECONDS, self._report, _WAITING % drain) if drain else None
        await asyncio.gather(*(child.stop(drain + GRACE) for child in self._replicas))
        if notice is not None:
            notice.cancel()
        if self._gateway is not None:
            await self._gateway.stop()

    def _pass_on_hangup(self) -> None:
        """Pass SIGHUP on, so that all reopen their logs, keys and certificates."""
        self._notices.reloading()
        for child in self._children():
            child.signal(signal.SIGHUP)

    def _report(self, text: str) -> None:
        """Report on stderr, and write the figures soon, not now: a report must not delay its caller."""
        print(f"trickleweb {self._options.command}: {one_line(text)}", file=sys.stderr)
        asyncio.get_running_loop().call_soon(self._note_anyhow)

    def _children(self) -> list[Child]:
        return [*self._replicas, *([self._gateway] if self._gateway else [])]

    def _look_at_keys(self) -> None:
        """Restore the files that a start of a replica or gateway needs."""
        if self._copy is not None and (report := self._copy.look()):
            self._report(report)
        if not self._run_dir.server_key.exists():
            self._run_dir.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_server_key(self._run_dir.server_key, fleet_identity(load_keyring(self._keys.place)))
        if not self._options.spool.exists():
            self._options.spool.mkdir(mode=0o700, exist_ok=True)

    def _replica(self, index: int) -> Child:
        return Child(replica_name(index), lambda: self._commands.replica(index), self._run_dir, self._warm.start)

    def _note_anyhow(self) -> None:
        try:
            self._note()
        except Exception:  # noqa: BLE001 - the chore of the same work reports it
            bookkeeping.failures["figures"] += 1

    def _note(self) -> None:
        """Write the figures that `status` and `get` read."""
        for child in self._children():
            self._totals.look(child.name, self._run_dir.figures(child.name))
        restarts = {child.name: child.restarts for child in self._children()}
        udp = [shown(place) for place in self._commands.places]
        own: dict[str, object] = {"pid": os.getpid(), "started": self._started, "forkserver": self._warm.pid}
        own |= {"url": self._commands.url(), "udp": udp, "restarts": restarts, "dead": self._totals.dead()}
        self._run_dir.note(FLEET, own | {"failures": dict(bookkeeping.failures)})


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
