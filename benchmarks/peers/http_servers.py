"""The HTTP servers that are compared: a table, one row per server."""

import os
import shutil
from collections.abc import Callable, Mapping

from benchmarks.peers.http_server import REPLICAS, Groups, HttpServer, Place, needs
from benchmarks.peers.trickleweb_fleet import TRICKLEWEB, TRICKLEWEB_PROGRAM
from benchmarks.support import procfs
from benchmarks.support.processes import module

KEEP_ALIVE_SECONDS = 600
APP, ECHO = "benchmarks.peers.static_app:app", "benchmarks.peers.echo_app:app"


def starlette_root(place: Place) -> Mapping[str, str]:
    return {"BENCH_ROOT": str(place.root)}


def uvicorn_argv(*options: str, app: str = APP) -> Callable[[Place], list[str]]:
    """One uvicorn worker with Starlette's StaticFiles, or with another program."""

    def argv(place: Place) -> list[str]:
        quiet = ("--no-access-log", "--log-level", "warning", "--timeout-keep-alive", KEEP_ALIVE_SECONDS)
        return module("uvicorn", app, "--port", place.port, *quiet, *options)

    return argv


def granian_argv(app: str) -> Callable[[Place], list[str]]:
    """One granian worker with the same program."""
    quiet = ("--no-ws", "--log-level", "warning")
    return lambda place: module("granian", app, "--interface", "asgi", "--port", place.port, *quiet)


NGINX = """
daemon off; user root; pid {work}/nginx.pid; error_log {work}/error.log; worker_processes {workers};
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
  sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000; keepalive_timeout {keep_alive}s;
  default_type application/octet-stream; types {{ text/plain txt; }}
  client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f;
  uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def nginx_argv(workers: str) -> Callable[[Place], list[str]]:
    """nginx with a configuration of its own, which it keeps in the place's folder."""

    def argv(place: Place) -> list[str]:
        text = NGINX.format(
            work=place.work, workers=workers, port=place.port, root=place.root, keep_alive=KEEP_ALIVE_SECONDS
        )
        config = place.work / "nginx.conf"
        config.write_text(text if os.geteuid() == 0 else text.replace("user root;", ""))
        return [nginx_program() or "nginx", "-c", str(config), "-p", str(place.work), "-e", f"{place.work}/error.log"]

    return argv


def nginx_program() -> str | None:
    """Where nginx is; Debian keeps it out of a user's path."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def nginx_missing() -> str | None:
    return None if nginx_program() else "needs nginx (Debian: nginx-light)"


def master_and_workers(_place: Place, pid: int) -> Groups:
    """nginx's workers as replicas of each other: they share a listening socket, and no connection."""
    return {"master": [pid], "replicas": procfs.descendants(pid)}


HELLO = HttpServer("asyncio hello", lambda place: module("benchmarks.peers.tcp_hello", place.port))
UVICORN = HttpServer(
    "uvicorn[standard]",
    uvicorn_argv("--http", "httptools", "--loop", "uvloop"),
    needs("uvicorn", "httptools", "uvloop", "starlette"),
    environment=starlette_root,
)
UVICORN_H11 = HttpServer(
    "uvicorn h11",
    uvicorn_argv("--http", "h11", "--loop", "asyncio"),
    needs("uvicorn", "h11", "starlette"),
    environment=starlette_root,
)
GRANIAN = HttpServer("granian", granian_argv(APP), needs("granian", "starlette"), environment=starlette_root)
NGINX_AUTO = HttpServer("nginx", nginx_argv("auto"), nginx_missing)
NGINX_FLEET = HttpServer(f"nginx, {REPLICAS} workers", nginx_argv(str(REPLICAS)), nginx_missing, master_and_workers)

SERVERS = (UVICORN, UVICORN_H11, GRANIAN, NGINX_AUTO, TRICKLEWEB)

# The same program on each: it gives bodies back.
PROGRAMS = (
    HttpServer(
        "uvicorn[standard]",
        uvicorn_argv("--http", "httptools", "--loop", "uvloop", app=ECHO),
        needs("uvicorn", "httptools", "uvloop"),
    ),
    HttpServer("uvicorn h11", uvicorn_argv("--http", "h11", "--loop", "asyncio", app=ECHO), needs("uvicorn", "h11")),
    HttpServer("granian", granian_argv(ECHO), needs("granian")),
    TRICKLEWEB_PROGRAM,
)
