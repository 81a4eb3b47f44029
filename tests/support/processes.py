"""Programs of ours as processes: started, waited for by a line they print, and ended, each by its pid."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from tests.support.closing import Closing
from trickles.drivers.addresses import shown
from trickles.drivers.dialer import parse_address

PATIENCE_SECONDS = 30.0  # how long a process may take for what it does in milliseconds, before the test fails
ROOT = Path(__file__).parent.parent.parent
Address = tuple[str, int]


class Lines:
    """A pipe read line by line, with a bound on the time each takes."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._pending = b""

    def next(self) -> str:
        """The next line; AssertionError when none comes in time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._pipe.fileno(), 1 << 16) if ready else b""
            if not data:
                raise AssertionError(f"no line {'at the end' if ready else 'in time'}, only {self._pending!r}")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    def rest(self) -> str:
        """All up to the end of what a process wrote that has ended."""
        data, self._pending = self._pending + self._pipe.read(), b""
        return data.decode()

    def fileno(self) -> int:
        """Of the pipe, to wait for it."""
        return self._pipe.fileno()

    def close(self) -> None:
        """Close the pipe."""
        self._pipe.close()


class Program(Closing):
    """One process of this interpreter: a context manager that kills it.

    `namespace` is a network namespace, `root` the folder that its sources lie in, and `within` the one that it runs in,
    if that is another: no modules are looked for there, as when an installed command is run.
    """

    def __init__(
        self,
        module: str,
        *words: object,
        namespace: str | None = None,
        root: Path = ROOT,
        within: Path | None = None,
    ) -> None:
        prefix = ["ip", "netns", "exec", namespace] if namespace else []  # which replaces itself: the pid is ours
        self._process = subprocess.Popen(
            [*prefix, sys.executable, *(["-P"] if within else []), "-m", module, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=within or root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.pid = self._process.pid
        self.output = Lines(self._process.stdout)
        self.errors = Lines(self._process.stderr)

    @property
    def alive(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit status, once it has ended by itself; fails when it does not in time."""
        return self._process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """End it whatever it does, and let go of its pipes."""
        self.kill()
        self.output.close()
        self.errors.close()


def refuses(address: Address) -> bool:
    """Wait until a process accepts no more TCP connections there; whether it came to that in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, PATIENCE_SECONDS).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.01)
    return False


class Fleet(Closing):
    """Replicas as processes of `tests.support.replica_program`, all with the options `words`; closes like a file.

    They have a port each, which a replica that is started again keeps.
    """

    def __init__(self, count: int, *words: object, host: str = "127.0.0.1", namespace: str | None = None) -> None:
        self._words = words
        self._host = host
        self._namespace = namespace
        self._replicas: list[Program] = []
        self.addresses: list[Address] = []
        with ExitStack() as undo:
            undo.callback(self.close)
            self._replicas = [self._started(0) for _ in range(count)]
            self.addresses = [ready(replica) for replica in self._replicas]
            undo.pop_all()

    def _started(self, port: int) -> Program:
        where = ("--host", self._host, "--port", port)
        return Program("tests.support.replica_program", *where, *self._words, namespace=self._namespace)

    @property
    def pids(self) -> list[int]:
        """The pids of those that run or have run last."""
        return [replica.pid for replica in self._replicas]

    def kill(self, index: int) -> None:
        """SIGKILL."""
        self._replicas[index].kill()

    def restart(self, index: int, *, wait: bool = True) -> None:
        """Start it again on its port, which must be free; with `wait` it is ready when this returns."""
        self._replicas[index].close()
        self._replicas[index] = self._started(self.addresses[index][1])
        if wait:
            assert ready(self._replicas[index]) == self.addresses[index]

    def close(self) -> None:
        """End them all."""
        for replica in self._replicas:
            replica.close()


def ready(replica: Program) -> Address:
    """Where a replica listens, which it says once it does."""
    word, host, port = replica.output.next().split()
    assert word == "ready"
    return host, int(port)


def free_port(host: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port that nobody has just now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


class ListeningProgram(Program):
    """`trickles gateway` with any listeners; ready when made."""

    def __init__(self, *words: object, namespace: str | None = None) -> None:
        super().__init__("trickles", "gateway", *words, namespace=namespace)
        with ExitStack() as undo:
            undo.callback(self.close)
            self.first_line = self.output.next()
            undo.pop_all()
        places = self.first_line.removeprefix("gateway on ").partition(" for ")[0].split(", ")
        self.addresses = [parse_address(place.rpartition("@")[2]) for place in places]


class GatewayProgram(ListeningProgram):
    """`trickles gateway` that forwards from a port of its choice."""

    def __init__(self, replicas: Sequence[Address], *words: object, host: str = "127.0.0.1") -> None:
        named = [word for replica in replicas for word in ("--replica", shown(replica))]
        super().__init__("--listen", shown((host, 0)), *named, *words)
        [self.address] = self.addresses

    def dial(self) -> socket.socket:
        """A program's connection to it, which waits for nothing too long."""
        return socket.create_connection(self.address, PATIENCE_SECONDS)


def received(program: socket.socket) -> bytes:
    """All that comes until the other side closes; ConnectionResetError when it does not close in order."""
    parts = []
    while part := program.recv(1 << 18):
        parts.append(part)
    return b"".join(parts)
