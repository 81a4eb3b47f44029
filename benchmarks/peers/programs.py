"""Programs on the servers that are compared: the same Starlette program on each, and trickleweb's own App."""

import os
from collections.abc import Mapping

from benchmarks.peers.http_server import HttpServer, Place, needs
from benchmarks.peers.http_servers import granian_argv, uvicorn_argv
from benchmarks.peers.trickleweb_fleet import fleet_groups, run_argv, trickleweb_missing

STARLETTE, APP = "benchmarks.peers.starlette_app:app", "benchmarks.peers.trickleweb_app:app"
EFFECTS = "BENCH_EFFECTS"


def effects(place: Place) -> Mapping[str, str]:
    """Where a program notes what it has done."""
    return {EFFECTS: os.fspath(place.work / "effects")}


UVICORN = HttpServer(
    "uvicorn[standard]",
    uvicorn_argv("--http", "httptools", "--loop", "uvloop", app=STARLETTE),
    needs("uvicorn", "httptools", "uvloop", "starlette"),
    environment=effects,
)
UVICORN_H11 = HttpServer(
    "uvicorn h11",
    uvicorn_argv("--http", "h11", "--loop", "asyncio", app=STARLETTE),
    needs("uvicorn", "h11", "starlette"),
    environment=effects,
)
GRANIAN = HttpServer("granian", granian_argv(STARLETTE), needs("granian", "starlette"), environment=effects)
OPTIONS = ("--max-body", "1G", "--repeat", "PUT")
TRICKLEWEB_STARLETTE = HttpServer(
    "trickleweb, Starlette", run_argv(STARLETTE, *OPTIONS), trickleweb_missing, fleet_groups, environment=effects
)
TRICKLEWEB_APP = HttpServer("trickleweb, App", run_argv(APP), trickleweb_missing, fleet_groups)
SERVERS = (UVICORN, UVICORN_H11, GRANIAN, TRICKLEWEB_STARLETTE, TRICKLEWEB_APP)
