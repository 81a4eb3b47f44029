"""A PostgreSQL server of the tests' own: from Debian's package, on a Unix socket in a folder of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from tests.support.closing import Closing
from tests.support.processes import PATIENCE_SECONDS, free_port

PASSWORD = "correct horse/battery@staple"


def program(name: str) -> str:
    """The path of one of the server's programs, which Debian keeps out of PATH; the newest release."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)]))
    return found or _missing("postgres (Debian: postgresql)")


class Cluster(Closing):
    """A server that is started when this is made, and killed at the end. A peer on the socket needs no password;
    one by TCP does. In a `namespace` (as root) it listens on all addresses, for peers of 10.0.0.0/8 without a password.
    """

    def __init__(self, *settings: str, namespace: str = "") -> None:
        self._postgres, initdb = program("postgres"), program("initdb")
        self._settings = settings
        self._namespace = namespace
        self.person: dict[str, object] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self.port = 5432
        if os.geteuid() == 0:  # which the server refuses to be
            nobody = pwd.getpwnam("nobody")
            self.person = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        words = ("-U", "tester", "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}", "--no-sync")
        self._run(initdb, "-D", str(self.folder / "data"), "-E", "UTF8", "--locale=C", *words)
        if namespace:
            with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 10.0.0.0/8 trust\n")
        self.start()

    def url(self, database: str = "postgres", **options: str) -> str:
        """The URL of a database, by the socket."""
        more = "".join(f"&{key}={quote(value)}" for key, value in options.items())
        return f"postgresql://tester@/{database}?host={quote(str(self.folder))}{more}"

    def tcp_url(self, password: str = PASSWORD, database: str = "postgres") -> str:
        """The URL of a database, by TCP."""
        return f"postgresql://tester:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run statements with psql; returns the rows."""
        words = ("-h", str(self.folder), "-U", "tester", "-d", database, "-qtAX", "-v", "ON_ERROR_STOP=1", "-c", text)
        return self._run(program("psql"), *words).strip()

    def start(self) -> None:
        """Start it, again perhaps; ready when this returns."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        listen, prefix, person = "127.0.0.1", list[str](), self.person
        if self._namespace:
            listen, person = "*", {}
            prefix = ["ip", "netns", "exec", self._namespace, "setpriv", "--reuid=nobody", "--regid=nogroup"]
            prefix += ["--clear-groups"]
        where = ("-k", str(self.folder), "-c", f"listen_addresses={listen}", "-c", f"port={self.port}")
        (self.folder / ".s.PGSQL.5432").unlink(missing_ok=True)
        settings = [word for each in self._settings for word in ("-c", each)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, self._postgres, "-D", str(self.folder / "data"), *where, *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **person,
            )  # type: ignore[call-overload]  # fmt: skip
        (self.folder / ".s.PGSQL.5432").symlink_to(f".s.PGSQL.{self.port}")  # the default port of a socket
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.sql("SELECT 1")
            except subprocess.CalledProcessError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """SIGKILL to all of its processes, like a power failure that spares the disk's cache."""
        if self._process is not None:
            children = _children(self._process.pid)
            for pid in (self._process.pid, *children):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not set(children).isdisjoint(_running()):
                assert time.monotonic() < deadline, "its children stay"
                time.sleep(0.01)
            self._process = None

    def close(self) -> None:
        """End it, and remove all that it has."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/", **self.person)  # type: ignore[call-overload]
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        return str(done.stdout)


class Pooler:
    """pgbouncer before a cluster, in one of its modes (https://www.pgbouncer.org/config.html); by TCP."""

    def __init__(self, cluster: Cluster, mode: str) -> None:
        self._port = free_port(kind=socket.SOCK_STREAM)
        folder = cluster.folder / mode
        folder.mkdir()
        (folder / "users").write_text('"tester" ""\n')
        (folder / "settings").write_text(
            f"[databases]\npostgres = host={cluster.folder} port={cluster.port} user=tester\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self._port}\nunix_socket_dir =\npool_mode = {mode}\n"
            f"auth_type = trust\nauth_file = {folder}/users\n"
        )
        program = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
        words = [program or _missing("pgbouncer"), str(folder / "settings")]
        self._process = subprocess.Popen(words, stderr=subprocess.PIPE, cwd="/", **cluster.person)  # type: ignore[call-overload]

    def __enter__(self) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self._port), PATIENCE_SECONDS).close()
                return f"postgresql://tester@127.0.0.1:{self._port}/postgres"
            assert time.monotonic() < deadline
            assert self._process.poll() is None, self._process.stderr.read()
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _missing(need: str) -> NoReturn:
    from tests.support.system import missing  # benchmarks look themselves, and have no pytest

    missing(need)


def _children(parent: int) -> list[int]:
    return [pid for pid, above in _running().items() if above == parent]


def _running() -> dict[int, int]:
    """The pids of processes that have not ended, with those of their parents."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(path.parent.name)] = int(parent)
    return found
