"""A Redis server of the tests' own: from Debian's package, on a Unix socket and a port of loopback, in a folder of its
own.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from tests.support.closing import Closing
from tests.support.processes import PATIENCE_SECONDS, free_port


class RedisServer(Closing):
    """A server that is started when this is made, and killed at the end. By default it writes every command to a log.

    With `password`, peers need it.
    """

    def __init__(self, *settings: str, log: bool = True, password: str = "") -> None:
        found = shutil.which("redis-server", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/bin"]))
        if found is None:
            from tests.support.system import missing  # benchmarks look themselves, and have no pytest

            missing("redis-server (Debian: redis-server)")
        self._program = found
        self.folder = Path(tempfile.mkdtemp(prefix="rd", dir="/tmp"))
        self.port = free_port(kind=socket.SOCK_STREAM)
        self.password = password
        lines = [
            f"dir {self.folder}",
            f"unixsocket {self.folder}/socket",
            f"port {self.port}",
            "bind 127.0.0.1",
            'save ""',
            f"appendonly {'yes' if log else 'no'}",
            *([f"requirepass {password}"] if password else []),
            *settings,
        ]
        (self.folder / "settings").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, prefix: str = "trickles", *, password: str | None = None, **options: str) -> str:
        """The URL of its socket."""
        person = f":{quote(password, safe='')}@" if password else ""
        more = "".join(f"&{key}={value}" for key, value in options.items())
        return f"unix://{person}{self.folder}/socket?prefix={prefix}{more}"

    def tcp_url(self, password: str | None = None) -> str:
        """The URL of its port."""
        person = f":{quote(password, safe='')}@" if password else ""
        return f"redis://{person}127.0.0.1:{self.port}/0"

    def run(self, *words: object) -> str:
        """Run a command; returns its reply as redis-cli shows it."""
        program = shutil.which("redis-cli") or "redis-cli"
        secret = ("-a", self.password, "--no-auth-warning") if self.password else ()
        call = [program, "-s", str(self.folder / "socket"), *secret, *map(str, words)]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    def start(self) -> None:
        """Start it, again perhaps; ready when this returns."""
        (self.folder / "socket").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            words = [self._program, str(self.folder / "settings")]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL: what it has not written is forgotten."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it, and remove all that it has."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        """True once it is ready, whoever asks."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.folder / "socket"))
                probe.sendall(b"PING\r\n")
                return probe.recv(100)[:5] in (b"+PONG", b"-NOAU")
            except OSError:
                return False


_server: list[RedisServer] = []  # one for all tests of this process


def shared_server() -> RedisServer:
    """A server that no test may kill; it ends with the module that asks `close_server` for it."""
    if not _server:
        _server.append(RedisServer())
    return _server[0]


def close_server() -> None:
    """End what `shared_server` started."""
    while _server:
        _server.pop().close()
