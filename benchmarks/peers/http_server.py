"""How an HTTP server is described and run: its command line, what it needs, which of its processes count as what."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.support import net, procfs
from benchmarks.support.processes import Child, ChildFailed
from benchmarks.support.results import Outcome

STARTED_BY_SECONDS = 30.0
REPLICAS = 3
UDP_PORTS = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server runs: the tree it serves, its ports on loopback, and a folder of its own."""

    root: Path
    port: int
    udp_port: int  # the first of UDP_PORTS adjacent ones
    work: Path


Groups = dict[str, list[int]]  # pids whose CPU and memory are shown apart


def whole_tree(_place: Place, pid: int) -> Groups:
    """All processes of a server as one group."""
    return {"server": procfs.tree(pid)}


def nothing_missing() -> str | None:
    return None


def needs(*packages: str) -> Callable[[], str | None]:
    """A check that the packages are installed; it answers with the reason if not."""

    def missing() -> str | None:
        absent = [name for name in packages if find_spec(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else None

    return missing


@dataclass(frozen=True, slots=True)
class HttpServer:
    """How to start a server in the foreground, what it needs, and which of its processes count as what."""

    name: str
    argv: Callable[[Place], list[str]]
    missing: Callable[[], str | None] = nothing_missing
    groups: Callable[[Place, int], Groups] = whole_tree
    environment: Callable[[Place], Mapping[str, str]] = field(default=lambda _place: {})


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    server: HttpServer
    place: Place
    child: Child

    def url(self, path: str) -> str:
        return f"http://{net.LOOPBACK}:{self.place.port}/{path}"

    def groups(self) -> Groups:
        return self.server.groups(self.place, self.child.pid)

    def live_replicas(self) -> list[int]:
        """Replicas that live now and descend from the process we started: no other process is ever a victim."""
        ours = set(procfs.descendants(self.child.pid))
        return [pid for pid in self.groups().get("replicas", []) if pid in ours and procfs.running(pid)]


@contextmanager
def running(server: HttpServer, root: Path) -> Iterator[Running]:
    """Start the server over the tree `root`, wait until it listens, and end it afterwards; may raise ChildFailed."""
    with tempfile.TemporaryDirectory(prefix="bench-server-") as folder:
        place = Place(root, net.free_tcp_port(), net.free_udp_ports(UDP_PORTS), Path(folder))
        with Child(server.argv(place), environment=server.environment(place), read=False) as child:
            net.wait_for_port(child, place.port, STARTED_BY_SECONDS)
            yield Running(server, place, child)


def start_all(
    servers: Sequence[HttpServer],
    root: Path,
    cleanup: ExitStack,
    outcome: Outcome,
    question: str,
    check: Callable[[Running], None] = lambda _: None,
) -> list[Running]:
    """Start those that can run here and pass the check, which may raise ChildFailed; note others in the outcome."""
    up = []
    for server in servers:
        if (reason := server.missing()) is not None:
            outcome.skip(server.name, reason)
            continue
        try:
            started = cleanup.enter_context(running(server, root))
            check(started)
            up.append(started)
        except ChildFailed as error:
            outcome.fail(f"{question}: {error}")
    return up
