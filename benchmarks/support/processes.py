"""Children of a benchmark: started with a log, read with a deadline, always ended by pid."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.support import procfs

REPOSITORY = Path(__file__).resolve().parents[2]
LOG_TAIL_BYTES = 2000
READ_BYTES = 65536


class ChildFailed(Exception):
    """A child ended early, stayed silent past its deadline or printed what it should not."""


def module(name: str, *arguments: object) -> list[str]:
    """Command line that runs a Python module with this interpreter."""
    return [sys.executable, "-m", name, *map(str, arguments)]


class Child:
    """One process: a context manager that ends it and everything it started.

    With `read` its standard output is read by `line` and `message`; otherwise the output goes to the log with
    standard error. `namespace` is a network namespace to run in: `ip netns exec` replaces itself, so the pid is
    the command's own.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        namespace: str | None = None,
        environment: Mapping[str, str] | None = None,
        read: bool = True,
    ) -> None:
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._pending = b""
        self.argv = [*prefix, *argv]
        self._process = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if read else self._log,
            stderr=self._log,
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # a Ctrl-C reaches the benchmark alone, which then ends its children
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def line(self, timeout: float) -> str:
        """Next line of standard output; ChildFailed after `timeout` seconds or at the end of the output."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._process.stdout.fileno(), READ_BYTES) if ready else b""
            if not data:
                raise ChildFailed(self._story("ended its output" if ready else f"said nothing for {timeout:g} s"))
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace")

    def message(self, timeout: float) -> dict[str, object]:
        """Next line of standard output as a JSON object."""
        text = self.line(timeout)
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ChildFailed(self._story(f"printed {text!r}, not a JSON object"))
        return value

    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def wait(self, timeout: float) -> None:
        """Wait for a clean end; ChildFailed after `timeout` seconds or at another exit status than 0."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ChildFailed(self._story(f"still runs after {timeout:g} s")) from None
        if status != 0:
            raise ChildFailed(self._story(f"ended with status {status}"))

    def ask_to_end(self) -> None:
        """Send SIGTERM, if it still runs."""
        if self.running():
            self._process.send_signal(signal.SIGTERM)

    def close(self, grace: float = 5.0) -> None:
        """End it: SIGTERM, then after `grace` seconds SIGKILL, for it and what it left behind."""
        family = procfs.descendants(self.pid)
        self.ask_to_end()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in family:
            end_orphan(pid, self.pid, grace)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def log_tail(self) -> str:
        """The last of what it wrote to its log."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - LOG_TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()

    def _story(self, what: str) -> str:
        return f"{' '.join(self.argv[:8])} {what}\n{self.log_tail()}".rstrip()


def end_orphan(pid: int, session: int, grace: float) -> None:
    """Give a left-over process of our session `grace` seconds, then SIGKILL it."""
    deadline = time.monotonic() + grace
    while procfs.running(pid) and same_session(pid, session):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def same_session(pid: int, session: int) -> bool:
    """Whether the process belongs to a session we opened: a pid used again by others does not."""
    try:
        return os.getsid(pid) == session
    except ProcessLookupError:
        return False
