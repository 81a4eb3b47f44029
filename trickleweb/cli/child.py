"""One process of a fleet: started, ready when it says its first line, its pid told from then to its end."""

from __future__ import annotations

import asyncio
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
        self._said = b""  # on stderr, before it was ready
        self._ready = False
        self._ready_at = 0.0

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
        self._relays = [telling, asyncio.create_task(self._relay(process.stdout))]
        return line.decode("utf-8", "replace").strip()

    async def ended(self) -> bool:
        """Wait for its end; whether it ended by itself soon after it was ready: something is wrong with it."""
        assert self._process is not None
        code = await self._process.wait()
        self._run_dir.drop_pid(self.name)
        for relay in self._relays:
            await relay
        return code >= 0 and time.monotonic() - self._ready_at < SOON

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

    async def stop(self) -> None:
        """End it: it is asked to, and made to if it does not."""
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


def pause(failures: int) -> float:
    """Seconds before the next attempt, after so many failures in a row: none after a kill from outside."""
    return min(FIRST_PAUSE * 2 ** (failures - 1), LAST_PAUSE) if failures else 0.0
