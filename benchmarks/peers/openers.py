"""Who opens idle connections for `benchmarks.memory`: a table, one row per measured server and way in."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.peers.http_server import REPLICAS, HttpServer, Place
from benchmarks.peers.http_servers import HELLO, NGINX_AUTO, UVICORN
from benchmarks.peers.trickleweb_fleet import TRICKLEWEB, run_dir
from benchmarks.support import net
from benchmarks.support.processes import module

TCP_OPENER, NATIVE_OPENER = "benchmarks.peers.idle_tcp", "benchmarks.peers.trickles_idle"
CACHED = 5_000  # above trickles.Limits.path_cache and state_cache


@dataclass(frozen=True, slots=True)
class Idle:
    """A server and the command that opens connections to it."""

    name: str
    server: HttpServer
    opener: str
    argv: Callable[[Place, int], list[str]]
    before: Callable[[Place], list[list[str]]] = field(default=lambda _place: [])  # what else fills bounded caches

    def missing(self) -> str | None:
        """Why it cannot run here, or None."""
        return self.server.missing()


def through_tcp(place: Place, connections: int) -> list[str]:
    """Connections that made one request each."""
    where = ("--connect", f"{net.LOOPBACK}:{place.port}")
    return module(TCP_OPENER, *where, "--connections", connections, "--request", "small.txt")


def native(place: Place, connections: int) -> list[str]:
    """Trickles connections to the replicas, with no gateway between."""
    where = ("--connect", f"{net.LOOPBACK}:{place.udp_port}", "--server-key", run_dir(place) / "server.pub")
    return module(NATIVE_OPENER, *where, "--connections", connections, "--request", "small.txt")


def full_caches(place: Place) -> list[list[str]]:
    """More connections to each replica than its caches hold."""
    return [native(replace(place, udp_port=place.udp_port + index), CACHED) for index in range(REPLICAS)]


IDLES = (
    *(Idle(server.name, server, TCP_OPENER, through_tcp) for server in (HELLO, UVICORN, NGINX_AUTO)),
    Idle("trickleweb by gateway", TRICKLEWEB, TCP_OPENER, through_tcp, full_caches),
    Idle("trickleweb native", TRICKLEWEB, NATIVE_OPENER, native, full_caches),
)
