"""Forward TCP connections to fleets of stateless replicas, so that unmodified clients reach them.

Every connection that --listen accepts becomes one Trickles connection. It survives the death of the replica that serves
it; bytes, half-closes, resets and back-pressure cross in both directions. --server-key pins the fleet's identity (the
file server.pub of its keys); without it the identity is trusted on first use and remembered.

A listener forwards to one fleet (--replica), or is a proxy for HTTP and SOCKS 5, or accepts connections that a firewall
redirects; the last two forward each host to the fleet that --map names for it, and redirected connections to other
hosts to --replica if there is one. Listeners in different modes: --listen 127.0.0.1:8080 --listen proxy@127.0.0.1:3128
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from trickles.cli.fleet_options import (
    FleetMaker,
    add_discovery_arguments,
    add_fleet_arguments,
    discovery,
    fleet_name,
    names_replicas,
)
from trickles.cli.handover_options import add_handover_arguments, drop_pid, handover
from trickles.cli.mapping import HostMap
from trickles.cli.mode_options import (
    Listening,
    add_mode_arguments,
    add_tls_arguments,
    allowed_networks,
    certificates,
    listening,
)
from trickles.cli.watching_options import Watching, add_watching_arguments
from trickles.command import Parser, reporter, seconds_or_never, whole_number
from trickles.drivers.bookkeeping import KeptFile, failures, flush_standard_streams, guard_standard_streams
from trickles.drivers.chores import Chore, Chores
from trickles.drivers.dialer import Dialer
from trickles.drivers.discovery import Discovery
from trickles.drivers.memory import keep_freed_memory
from trickles.drivers.notices import ManagerNotices
from trickles.errors import LocalProtocolError
from trickles.gateway.downstream import Downstream
from trickles.gateway.limits import GatewayLimits
from trickles.gateway.log import FailureLog
from trickles.gateway.process import Events, GatewayProcess
from trickles.gateway.proxy_front import proxied
from trickles.gateway.routing import MOST_LOOKUPS, DirectAccess, RouteTable, UpstreamRouter
from trickles.gateway.server import Gateway, ListenAddress
from trickles.gateway.transparent import redirected


def add_arguments(parser: Parser) -> None:
    add_mode_arguments(parser)
    add_discovery_arguments(parser)
    add_fleet_arguments(parser)
    parser.add_argument("--max-connections", type=whole_number(1, 1 << 20), default=8192, metavar="N", help=_MOST)
    parser.add_argument("--max-per-client", type=whole_number(0, 1 << 20), default=0, metavar="N", help=_PER_CLIENT)
    parser.add_argument("--request-timeout", type=_SECONDS, default=60, metavar="SECONDS", help=_REQUEST_TIMEOUT)
    parser.add_argument("--idle-timeout", type=_SECONDS, default=0, metavar="SECONDS", help=_IDLE_TIMEOUT)
    parser.add_argument("--half-close", type=seconds_or_never, default=0.0, metavar="SECONDS", help=_HALF_CLOSE)
    parser.add_argument("--freebind", action="store_true", help=_FREEBIND)
    add_tls_arguments(parser)
    add_handover_arguments(parser)
    add_watching_arguments(parser)


_tell = reporter("gateway")
_SECONDS = whole_number(0, 86_400)
_FREEBIND = "listen on addresses that the machine does not have yet"
_HALF_CLOSE = "a user that half-closed and gets no output for so long has left (default: 0, never)"
_MOST = "most live connections; another one replaces the one that was idle for longest (default: 8192)"
_PER_CLIENT = "most live connections from one address, 0: no bound (default: 0)"
_REQUEST_TIMEOUT = (
    "time to complete a request; then its input ends, and the server answers that; 0: no bound (default: 60)"
)
_IDLE_TIMEOUT = "close idle connections after so long, 0: never (default: 0)"


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it; each transfer that fails is one line on stderr."""
    keep_freed_memory()
    guard_standard_streams()
    allow_descriptors()
    try:
        asyncio.run(_serve(args))
    finally:
        drop_pid(args.pid_file)
    return 0


async def _serve(args: argparse.Namespace) -> None:
    log, tls, places = FailureLog(sys.stderr.write), certificates(args), listening(args)
    notices = ManagerNotices(inherited=True)  # by a successor
    maker, replicas = FleetMaker(args), _replicas(args, places)
    dialer = maker.dialer(await replicas.refresh(), fleet_name(args)) if replicas is not None else None
    allowed = allowed_networks(args)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MOST_LOOKUPS, "lookup"))
    gateway = Gateway(dialer, limits=_limits(args), report=log.failure, certificates=tls, freebind=args.freebind)
    direct = DirectAccess(allowed, gateway.own_ports) if args.pass_through else None
    router = UpstreamRouter(RouteTable({}), direct, dialer, tls)
    hosts = HostMap(router, maker, args.map, args.map_file, report=_tell)
    hosts.load()
    watching = Watching(args, gateway, _tell)
    with hint("choose another with --metrics [HOST]:PORT"):
        await watching.begin()
    files = _Files(args, gateway)

    def ready(bound: list[str]) -> None:
        files.ready()
        notices.ready()
        gc.freeze()  # imported modules stay: the collector need not visit them again
        print(f"gateway on {', '.join(bound)} for {_extent(dialer, hosts.size)}", flush=True)

    looks = {"log": log.flush, "access log": watching.tick, "files": files.look, "service manager": notices.look}
    chores = _chores(looks | ({"certificate": tls.look} if tls is not None else {}))

    def left() -> None:
        notices.leave()
        files.left()
        watching.left()

    def reload() -> None:
        notices.reloading()
        watching.reload()
        if replicas is not None:
            replicas.hurry()
        if tls is not None:
            tls.reload()

    background = hosts.background(replicas, dialer)
    events = Events(ready=ready, tick=chores.tick, reload=reload, left=left)
    life = GatewayProcess(gateway, events, handover=handover(args), background=background, end_with=args.end_with)
    try:
        with hint("choose another with --listen HOST:PORT (make serve: PORT=...)"):
            await life.serve([_place(each, router) for each in places])
    finally:
        notices.stopping()
        hosts.close()
        watching.close()


def _chores(looks: Mapping[str, Chore]) -> Chores:
    chores = Chores(_tell)
    for name, look in looks.items():
        chores.every(0, name, look)
    chores.every(0, "log", flush_standard_streams)
    return chores


def _replicas(args: argparse.Namespace, places: list[Listening]) -> Discovery | None:
    """Return the replicas of the one fleet; it may be missing unless a listener forwards."""
    needed = any(place.mode == "forward" for place in places) or not (args.map or args.map_file or args.pass_through)
    return discovery(args) if needed or names_replicas(args) else None


def _place(each: Listening, router: UpstreamRouter) -> ListenAddress:
    fronts: dict[str, Callable[[UpstreamRouter, Downstream], None]] = {"proxy": proxied, "transparent": redirected}
    front = fronts.get(each.mode)
    return ListenAddress(*each.address, partial(front, router) if front is not None else None, each.mode)


def _extent(dialer: Dialer | None, mapped: int) -> str:
    replicas = [f"{len(dialer.replicas)} replicas"] if dialer is not None else []
    hosts = [f"{mapped} mapped host{'' if mapped == 1 else 's'}"] if mapped or dialer is None else []
    return " and ".join(replicas + hosts)


@contextmanager
def hint(way_out: str) -> Iterator[None]:
    """Add the option that helps to errors about an unusable address."""
    try:
        yield
    except OSError as error:
        unknown_name = isinstance(error.errno, int) and error.errno < 0  # EAI_*, not an errno
        if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES) and not unknown_name:
            raise
        raise LocalProtocolError(f"{error.strerror}: {way_out}") from None


def allow_descriptors() -> None:
    """Raise the limit of descriptors to the system's maximum: a busy connection takes two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _limits(args: argparse.Namespace) -> GatewayLimits:
    return GatewayLimits(
        most_connections=args.max_connections,
        most_per_client=args.max_per_client,
        request_timeout=args.request_timeout,
        idle_timeout=args.idle_timeout,
        half_close=args.half_close,
    )


class _Files:
    """The pid file and the status file, until a successor has taken over."""

    def __init__(self, args: argparse.Namespace, gateway: Gateway) -> None:
        self._gateway = gateway
        self._started = int(time.time())
        self._pid = KeptFile(args.pid_file, _tell) if args.pid_file is not None else None
        self._status = KeptFile(Path(args.status_file), _tell) if args.status_file else None

    def ready(self) -> None:
        if self._pid is not None:
            self._pid.put(f"{os.getpid()}\n")

    def look(self) -> None:
        if self._pid is not None:
            self._pid.look()
        if self._status is not None:
            figures = {"pid": os.getpid(), "started": self._started, **self._gateway.figures()}
            self._status.put(json.dumps({**figures, "failures": dict(failures)}))

    def left(self) -> None:
        if self._pid is not None:
            self._pid.leave()
        self._status = None
