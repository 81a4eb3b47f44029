"""Forward TCP connections to a fleet of stateless replicas, so that unmodified programs reach it.

Every connection that --listen accepts becomes one Trickles connection. It survives the death of the replica that serves
it; bytes, half-closes, resets and back-pressure cross in both directions. --server-key pins the fleet's identity (the
file server.pub of its keys); without it the identity is trusted on first use and remembered.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import sys
from dataclasses import replace
from pathlib import Path

from trickles.cli.discovery_options import add_discovery_arguments, checked_address, discovery, fleet_name
from trickles.cli.parser import Parser, whole_number
from trickles.cli.tls_options import add_tls_arguments, certificates
from trickles.client import ClientConfig, Policy
from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer
from trickles.drivers.keystore import read_server_key
from trickles.drivers.known_hosts import KnownHosts
from trickles.drivers.memory import keep_freed_memory
from trickles.drivers.world import wall_us
from trickles.gateway.limits import GatewayLimits
from trickles.gateway.log import FailureLog
from trickles.gateway.serving import Gateway, serve
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.wire.kinds import Address, Suite

POLICIES = [*(policy.value for policy in Policy), "fastest"]
SPARE_SOCKETS = 256  # as many short connections as may come at once without making a socket


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--listen", metavar="HOST:PORT", action="append", required=True, help=_LISTEN)
    add_discovery_arguments(parser)
    parser.add_argument("--server-key", metavar="FILE", help="the fleet's public identity, server.pub")
    parser.add_argument("--policy", choices=POLICIES, default="home", help=_POLICY)
    parser.add_argument("--suite", choices=["sealed", "open"], default="sealed", help=_SUITE)
    parser.add_argument("--max-connections", type=whole_number(1, 1 << 20), default=8192, metavar="N", help=_MOST)
    parser.add_argument("--max-per-client", type=whole_number(0, 1 << 20), default=0, metavar="N", help=_PER_CLIENT)
    parser.add_argument("--request-timeout", type=_SECONDS, default=60, metavar="SECONDS", help=_REQUEST_TIMEOUT)
    parser.add_argument("--idle-timeout", type=_SECONDS, default=0, metavar="SECONDS", help=_IDLE_TIMEOUT)
    parser.add_argument("--give-up", type=whole_number(1, 3600), default=30, metavar="SECONDS", help=_GIVE_UP)
    add_tls_arguments(parser)
    parser.add_argument("--pid-file", metavar="FILE", help="write the process id here when ready")
    parser.add_argument("--status-file", metavar="FILE", help="write figures here every second, as JSON")


_LISTEN = "accept TCP connections here (repeatable)"
_POLICY = (
    "which replica a request goes to: home (one as long as it answers), spray (each to the next), stripe (several at "
    "once), lowest-rtt (the nearest; fastest is another name for it)"
)
_SECONDS = whole_number(0, 86_400)
_MOST = "live connections at most; one more takes the place of the one that stood still for longest (default: 8192)"
_PER_CLIENT = "live connections from one address at most, 0: as many as there are (default: 0)"
_REQUEST_TIMEOUT = (
    "time to complete a request; then its input is ended, for the server to answer; 0: never (default: 60)"
)
_IDLE_TIMEOUT = "close connections without anything under way after so long, 0: never (default: 0)"
_GIVE_UP = "how long all replicas may be silent before a transfer fails (default: 30)"
_SUITE = "sealed: all is confidential; open: data in clear, for trusted networks and measurements"


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; each transfer that fails is one line on stderr."""
    keep_freed_memory()
    allow_descriptors()
    try:
        asyncio.run(_serve(args))
    finally:
        if args.pid_file:
            Path(args.pid_file).unlink(missing_ok=True)
    return 0


async def _serve(args: argparse.Namespace) -> None:
    log, tls, replicas = FailureLog(sys.stderr.write), certificates(args), discovery(args)
    listen, config = [checked_address(text) for text in args.listen], _config(args)
    dialer = Dialer(await replicas.refresh(), config, spare_sockets=SPARE_SOCKETS)
    gateway = Gateway(dialer, limits=_limits(args), report=log.failure, certificates=tls)

    def ready(bound: list[Address]) -> None:
        if args.pid_file:
            Path(args.pid_file).write_text(f"{os.getpid()}\n")
        gc.freeze()  # what was imported stays: the collector need not look at it again
        print(f"gateway on {', '.join(map(shown, bound))} for {len(dialer.replicas)} replicas", flush=True)

    def tick() -> None:
        log.flush()
        if tls is not None:
            tls.look()
        if args.status_file:
            _write_atomically(Path(args.status_file), json.dumps(gateway.figures()))

    def reload() -> None:
        replicas.hurry()
        if tls is not None:
            tls.reload()

    beside = [lambda: replicas.keep(dialer.replace)]
    await serve(gateway, listen, ready=ready, tick=tick, reload=reload, beside=beside)


def allow_descriptors() -> None:
    """Use as many descriptors as the system allows: a busy connection takes two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _config(args: argparse.Namespace) -> ClientConfig:
    identity = read_server_key(args.server_key) if args.server_key else None
    if identity is None:
        print("trickles gateway: no --server-key: the fleet's identity is trusted on first use", file=sys.stderr)
    return ClientConfig(
        identity=identity,
        trust=KnownHosts().trust(fleet_name(args)) if identity is None else lambda _: False,
        wall=wall_us,
        suite=Suite[args.suite.upper()],
        policy=Policy(args.policy),
        limits=replace(DEFAULT_LIMITS, give_up_after=args.give_up * SECOND),
    )


def _limits(args: argparse.Namespace) -> GatewayLimits:
    return GatewayLimits(
        most_connections=args.max_connections,
        most_per_client=args.max_per_client,
        request_timeout=args.request_timeout,
        idle_timeout=args.idle_timeout,
    )


def _write_atomically(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)
