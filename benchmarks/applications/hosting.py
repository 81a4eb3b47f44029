"""Start an application under its usual server, or under `trickleweb run`."""

import os
from collections.abc import Mapping
from pathlib import Path

from benchmarks.applications.catalogue import Program
from benchmarks.applications.environment import absent
from benchmarks.peers.http_server import HttpServer, Place
from benchmarks.peers.trickleweb_fleet import fleet_groups, fleet_words
from benchmarks.support import net
from benchmarks.support.processes import REPOSITORY

DATA = "APPLICATION_DATA"  # the environment variable that names the folder of a program's data
THREADS = 32


def environment(data: Path) -> Mapping[str, str]:
    """What a program gets: where its data lies."""
    return {DATA: os.fspath(data), "PYTHONPATH": os.fspath(REPOSITORY), "RADICALE_CONFIG": os.fspath(data / "config")}


def peer(program: Program, python: Path) -> HttpServer:
    """One process of the usual server: uvicorn, gunicorn with as many threads as a replica, or else Flask's own."""
    name = "uvicorn" if not program.wsgi else "flask" if absent(python, ("gunicorn",)) else "gunicorn"
    quiet = ("--log-level", "warning")

    def argv(place: Place) -> list[str]:
        where = ("--host", net.LOOPBACK, "--port", str(place.port))
        bound = ("--bind", f"{net.LOOPBACK}:{place.port}", "--threads", str(THREADS))
        words = {
            "uvicorn": ("uvicorn", program.target, *where, "--no-access-log", *quiet),
            "gunicorn": ("gunicorn", program.target, *bound, *quiet),
            "flask": ("flask", "--app", program.target, "run", *where),
        }
        return [str(python), "-m", *words[name]]

    return HttpServer(name, argv, environment=lambda place: environment(place.root))


def fleet(program: Program, python: Path, *, preload: bool) -> HttpServer:
    """Three replicas and a gateway; with `preload` a killed replica need not import the program again."""
    anywhere = ["--udp", f"{net.LOOPBACK}:0"]  # a port that was free may be taken while a program is imported
    options = [*anywhere, *program.options, *(["--wsgi"] if program.wsgi else []), *(["--preload"] if preload else [])]

    def argv(place: Place) -> list[str]:
        words = ["run", program.target, "--app-dir", str(REPOSITORY), *fleet_words(place), *options]
        return [str(python), "-m", "trickleweb", *words]

    return HttpServer("trickleweb", argv, groups=fleet_groups, environment=lambda place: environment(place.root))
