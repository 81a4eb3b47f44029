"""One process of a fleet: its start, its readiness (a first line on stdout), its pid file, its successors and its end.

The pid file is for others and is never read here: a process is a child that this one started (`Process`), or one that
took over from it and listens at its control socket (`Successor`).
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from trickles.command import CommandFailed
from trickles.drivers.keeping import pause
from trickleweb.cli.launch import READ_BYTES, Process
from trickleweb.cli.rundir import RunDir
from trickleweb.cli.successors import Successor, Successors
from trickleweb.cli.warmstart import ForkedCommand

SOON = 1.0  # seconds: a process that exits by itself within them will likely do so again
LOOK = 0.5  # seconds between checks for a successor
_NO_PID = 0  # no process has it
GRACE = 5.0  # seconds between SIGTERM and SIGKILL
LAST_WORDS = 0.5  # seconds to read the pipes of a process that did not start
UNREAD = 0.02  # seconds to read what is in the pipes of a dead one: its children may hold them open for long
START_SECONDS = 120.0  # to become ready: a program may import much; after that it is replaced

Start = Callable[[ForkedCommand], Awaitable[Process]]


class Child:
    """A process and its successors; each start calls `command` for a command line and `start` for its process.

    Only one with a `control` socket may have successors.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], ForkedCommand],
        run_dir: RunDir,
        start: Start,
        control: Path | None = None,
    ) -> None:
        self.name = name
        self.restarts = 0
        self._command = command
        self._run_dir = run_dir
        self._start = start
        self._process: Process | None = None
        self._relays: list[asyncio.Task[None]] = []
        self._left: list[Process] = []  # predecessors, and dead ones whose pipes are still open
        self._successors = None if control is None else Successors(control)
        self._successor: Successor | None = None  # serves in place of the process
        self._said = b""  # on stderr, before it was ready
        self._ready = False
        self._ready_at = 0.0
        self._up = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The pid of the process that serves now, or of its successor; None while none does."""
        if self._successor is not None:
            return self._successor.pid
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> str:
        """Start it and return its first line; raise `CommandFailed` with its last stderr line if it exits instead."""
        self._said, self._ready = b"", False
        try:
            process = self._process = await self._start(self._command())
        except (OSError, subprocess.SubprocessError) as error:
            raise CommandFailed(f"{self.name} did not start: {error}") from None
        relay = asyncio.create_task(self._relay(process.errors))
        try:
            line = await self._first_line(process)
        except BaseException:
            process.kill()
            raise
        if not line.endswith(b"\n"):
            await process.wait()
            await self._settled(process, [relay], LAST_WORDS)
            raise CommandFailed(f"{self.name} did not start: {self._last_words()}")
        self._ready, self._ready_at = True, time.monotonic()
        said, self._said = self._said, b""
        _pass_on(said if said.endswith(b"\n") or not said else said + b"\n")
        self._run_dir.note_pid(self.name, process.pid)
        self._up.set()
        self._relays = [relay, asyncio.create_task(self._relay(process.output))]
        return line.decode("utf-8", "replace").strip()

    async def _first_line(self, process: Process) -> bytes:
        """Return the first line; less than a line if it exits before or is killed for taking too long."""
        try:
            async with asyncio.timeout(START_SECONDS):
                return await process.output.readline()
        except (TimeoutError, ValueError):  # ValueError: an overlong line
            process.kill()
            return b""

    async def ended(self) -> bool:
        """Wait for its end; return whether it exited by itself soon after it was ready: something is wrong with it.

        A process may have made another its successor; then the successor's end counts.
        """
        process = self._process
        assert process is not None
        while True:
            serving = self._successor or process
            over = asyncio.create_task(serving.wait())
            try:
                while not over.done() and not self._succeeded(serving.pid):
                    await asyncio.wait({over}, timeout=LOOK)
            finally:
                over.cancel()
            if self._successor in (None, serving) and not self._succeeded(serving.pid, always=True):
                break
        self._run_dir.drop_pid(self.name)
        if self._successor is not None:  # its predecessor may still serve connections and write
            self._successor = None
            self._left.append(process)
            return False
        await self._settled(process, self._relays, UNREAD)
        return (process.returncode or 0) >= 0 and time.monotonic() - self._ready_at < SOON

    def _succeeded(self, pid: int, *, always: bool = False) -> bool:
        """Return whether a process other than `pid` serves now; it becomes the successor."""
        if self._successors is None or (found := self._successors.find(pid, always=always)) is None:
            return False
        if self._successor is not None:
            self._successor.close()
        self._successor = found
        self._run_dir.note_pid(self.name, found.pid)
        return True

    async def keep(self, report: Callable[[str], None]) -> None:
        """Restart the process whenever it ends, and report that."""
        failures = 0
        while True:
            if self._process is not None and (self._ready or self._successor is not None):
                failures = failures + 1 if await self.ended() else 0
                report(f"{self.name} ended")
            await asyncio.sleep(pause(failures))
            if self._succeeded(_NO_PID, always=True):  # it became ready as its predecessor died
                report(f"{self.name} is back")
                continue
            self.restarts += 1
            try:
                await self.start()
            except CommandFailed as exc:
                failures += 1
                report(str(exc))
            else:
                report(f"{self.name} is back")

    async def replaced(self) -> None:
        """Kill it, and return when it has been restarted; only while `keep` runs."""
        self._up.clear()
        if self._process is not None:
            self._process.kill()
        await self._up.wait()

    async def stop(self, grace: float = GRACE) -> None:
        """End it and its successor: SIGTERM, then SIGKILL after a grace in seconds."""
        if self._successor is not None:
            await self._successor.end(grace)
            self._successor.close()
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if process is not None and self._relays:
            await self._settled(process, self._relays, LAST_WORDS)
        for each in self._left:
            each.close()
        self._run_dir.drop_pid(self.name)

    def signal(self, number: int) -> None:
        """Send a signal to the process that serves now, or to its successor."""
        serving = self._successor or self._process
        if serving is not None:
            serving.send_signal(number)

    async def _settled(self, process: Process, relays: list[asyncio.Task[None]], seconds: float) -> None:
        """Read a dead process's last output; after that time go on, while the relays read."""
        _, going_on = await asyncio.wait(relays, timeout=seconds)
        self._left = [each for each in self._left if not each.is_silent]
        if going_on:
            self._left.append(process)
        else:
            process.close()

    async def _relay(self, source: asyncio.StreamReader) -> None:
        while data := await source.read(READ_BYTES):
            if self._ready:
                _pass_on(data)
            else:
                self._said = (self._said + data)[-READ_BYTES:]

    def _last_words(self) -> str:
        lines = self._said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].partition(": ")[2] or lines[-1] if lines else "no output"


def _pass_on(data: bytes) -> None:
    if data:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()
