"""Trickleweb as a measured server. **Plug**: this is the one place that knows its command line and its pid files."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from benchmarks.peers.http_server import REPLICAS, Groups, HttpServer, Place
from benchmarks.support import net, procfs
from benchmarks.support.processes import REPOSITORY

MOST_CONNECTIONS = 100_000  # as many as the limit of open files allows


def serve_argv(*options: str) -> Callable[[Place], list[str]]:
    """`trickleweb serve` with its run directory in the place's folder."""
    return lambda place: [trickleweb_program(), "serve", str(place.root), *fleet_words(place), *options]


def run_argv(app: str, *options: str) -> Callable[[Place], list[str]]:
    """`trickleweb run` of a program of this repository."""
    where = ["--app-dir", str(REPOSITORY), *options]
    return lambda place: [trickleweb_program(), "run", app, *where, *fleet_words(place)]


def fleet_words(place: Place) -> list[str]:
    """Where a fleet answers, and how many replicas it has."""
    where = ["--listen", f"{net.LOOPBACK}:{place.port}", "--udp", f"{net.LOOPBACK}:{place.udp_port}"]
    bounds = ["--replicas", str(REPLICAS), "--max-connections", str(MOST_CONNECTIONS)]
    return [*where, *bounds, "--run-dir", str(run_dir(place))]


def run_dir(place: Place) -> Path:
    """The run directory, with the pid files and the fleet's identity server.pub."""
    return place.work / "run"


def trickleweb_program() -> str:
    """The installed command that belongs to this interpreter."""
    return str(Path(sys.executable).parent / "trickleweb")


def trickleweb_missing() -> str | None:
    if not Path(trickleweb_program()).exists() or find_spec("trickleweb") is None:
        return "the command trickleweb is not installed beside this interpreter"
    return None if find_spec("trickleweb.cli") else "there is no module trickleweb.cli"


def fleet_groups(place: Place, pid: int) -> Groups:
    """Gateway, replicas and the supervisor apart, by the pid files of the run directory."""
    gateway, replicas = pids_in(place, "gateway.pid"), pids_in(place, "replica-*.pid")
    others = [each for each in procfs.tree(pid) if each not in {*gateway, *replicas}]
    return {"gateway": gateway, "replicas": replicas, "supervisor": others}


def pids_in(place: Place, pattern: str) -> list[int]:
    """The pids in the files of the run directory; a file being rewritten counts as absent."""
    texts = [path.read_text().strip() for path in sorted(run_dir(place).glob(pattern))]
    return [int(text) for text in texts if text.isdigit()]


TRICKLEWEB = HttpServer("trickleweb", serve_argv(), trickleweb_missing, fleet_groups)
TRICKLEWEB_SPRAY = HttpServer("trickleweb spray", serve_argv("--policy", "spray"), trickleweb_missing, fleet_groups)
TRICKLEWEB_PROGRAM = HttpServer(
    "trickleweb", run_argv("benchmarks.peers.echo_app:app"), trickleweb_missing, fleet_groups
)
