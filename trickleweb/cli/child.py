"""One process of a fleet: started, ready when it says its first line, its pid told from then to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from trickleweb.cli.parser import CommandFailed
from trickleweb.cli.rundir import RunDir
from trickleweb.cli.tied import tie

SOON = 1.0  # seconds: who ends by itself within them is likely to do so again
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0  # seconds between attempts at what does not stay up
LOOK = 0.5  # seconds between looks at whether a process has made another its successor
GRACE = 5.0  # seconds to end in when asked to
_BLOCK_BYTES = 1 << 16


class Child:
    """A process and its successors; `argv` is asked for each time anew."""

    def __init__(self, name: str, argv: Callable[[], Sequence[str]], run_dir: RunDir) -> None:
        self.name = name
        self.restarts = 0
        self._argv = argv
        self._run_dir = run_dir
        self._process: asyncio.subprocess.Process | None = None
        self._relays: list[asyncio.Task[None]] = []
        self._left: list[asyncio.Task[None]] = []  # relays of processes that gave way
        self._said = b""  # on stderr, before it was ready
        self._ready = False
        self._ready_at = 0.0
        self._up = asyncio.Event()

    async def start(self) -> str:
        """Start it; the line it says when it is ready. `CommandFailed` with what it says if it ends instead."""
        self._said, self._ready = b"", False
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._argv(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            preexec_fn=tie(),
            process_group=0,  # a Ctrl-C is for the supervisor, which ends its children itself
        )
        self._process = process
        assert process.stdout is not None
        assert process.stderr is not None
        telling = asyncio.create_task(self._relay(process.stderr))
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            await telling
            await process.wait()
            raise CommandFailed(f"{self.name} did not start: {self._last_words()}")
        self._ready, self._ready_at = True, time.monotonic()
        self._run_dir.note_pid(self.name, process.pid)
        self._up.set()
        self._relays = [telling, asyncio.create_task(self._relay(process.stdout))]
        return line.decode("utf-8", "replace").strip()

    async def ended(self) -> bool:
        """Wait for its end; whether it ended by itself soon after it was ready: something is wrong with it.

        A process may have made another its successor, which then has the pid file: the end of that one counts.
        """
        process = self._process
        assert process is not None
        watched = process.pid
        while True:
            over = asyncio.create_task(process.wait() if watched == process.pid else gone(watched))
            try:
                while not over.done() and self._run_dir.pid(self.name) in (None, watched):
                    await asyncio.wait({over}, timeout=LOOK)
            finally:
                over.cancel()
            successor = self._run_dir.pid(self.name)
            if successor is None or successor == watched:
                break
            watched = successor
        self._run_dir.drop_pid(self.name)
        if watched != process.pid:  # whoever it succeeded may still serve connections, and say something
            self._left += self._relays
            return False
        for relay in self._relays:
            await relay
        return (process.returncode or 0) >= 0 and time.monotonic() - self._ready_at < SOON

    async def keep(self, tell: Callable[[str], None]) -> None:
        """Start it again whenever it ends, for good; `tell` hears of it."""
        failures = 0
        while True:
            failures = failures + 1 if await self.ended() else 0
            tell(f"{self.name} ended")
            while True:
                await asyncio.sleep(pause(failures))
                self.restarts += 1
                try:
                    await self.start()
                except CommandFailed as exc:
                    failures += 1
                    tell(str(exc))
                    continue
                tell(f"{self.name} is back")
                break

    async def replaced(self) -> None:
        """Kill it, and return when its successor is ready; only while somebody keeps it."""
        self._up.clear()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._up.wait()

    async def stop(self) -> None:
        """End it, and its successor if it has one: they are asked to, and made to if they do not."""
        successor = self._run_dir.pid(self.name)
        if successor is not None and (self._process is None or successor != self._process.pid):
            await ended_by_request(successor)
        process = self._process
        if process is None or process.returncode is not None:
            self._run_dir.drop_pid(self.name)
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), GRACE)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._run_dir.drop_pid(self.name)

    async def _relay(self, source: asyncio.StreamReader) -> None:
        while data := await source.read(_BLOCK_BYTES):
            if self._ready:
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()
            else:
                self._said = (self._said + data)[-_BLOCK_BYTES:]

    def _last_words(self) -> str:
        lines = self._said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].partition(": ")[2] or lines[-1] if lines else "it said nothing"


async def gone(pid: int) -> None:
    """Wait for the end of a process that is nobody's child here."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(watched, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


async def ended_by_request(pid: int) -> None:
    """End such a process."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, TimeoutError):
            os.kill(pid, number)
            await asyncio.wait_for(gone(pid), GRACE)
            return


def pause(failures: int) -> float:
    """Seconds before the next attempt, after so many failures in a row: none after a kill from outside."""
    return min(FIRST_PAUSE * 2 ** (failures - 1), LAST_PAUSE) if failures else 0.0
