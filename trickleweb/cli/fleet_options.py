"""Options of a fleet on one machine, the same for all commands that start one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from trickles.command import CommandFailed, Parser, address, seconds, seconds_or_never, whole_number
from trickles.drivers.addresses import shown
from trickleweb.cli.fleet_commands import FleetOptions
from trickleweb.cli.rundir import DEFAULT, STATUS_SECONDS, RunDir
from trickleweb.cli.shared_stores import store_words

MAX_REPLICAS = 64
POLICIES = ("home", "spray", "stripe", "lowest-rtt")


def add_fleet_arguments(parser: Parser) -> None:
    parser.add_argument("--replicas", metavar="N", type=whole_number(1, MAX_REPLICAS), default=3, help=_REPLICAS)
    parser.add_argument("--listen", metavar="HOST:PORT", type=address, default=("127.0.0.1", 8080), help=_LISTEN)
    parser.add_argument("--udp", metavar="HOST:PORT", type=address, default=("127.0.0.1", 8443), help=_UDP)
    parser.add_argument("--run-dir", metavar="DIR", type=Path, default=Path(DEFAULT), help=_RUN_DIR)
    parser.add_argument("--keyring", metavar="DIR", help="the fleet's keys (default: created under --run-dir)")
    parser.add_argument("--spool", metavar="DIR|URL", help=_SPOOL)
    parser.add_argument("--status-every", metavar="SECONDS", type=seconds, default=STATUS_SECONDS, help=_EVERY)
    parser.add_argument("--policy", choices=POLICIES, default=POLICIES[0], help=_POLICY)
    parser.add_argument("--suite", choices=("sealed", "open"), default="sealed", help=_SUITE)
    parser.add_argument("--request-timeout", metavar="SECONDS", type=_SECONDS, default=60, help=_REQUEST_TIMEOUT)
    parser.add_argument("--idle-timeout", metavar="SECONDS", type=_SECONDS, default=300, help=_IDLE_TIMEOUT)
    parser.add_argument("--half-close", metavar="SECONDS", type=seconds_or_never, default=0.5, help=_HALF_CLOSE)
    parser.add_argument("--max-connections", metavar="N", type=_CONNECTIONS, default=8192, help=_MOST)
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="serve TLS with this certificate chain (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its private key, readable by no other user")
    parser.add_argument("--reuse-port", action="store_true", help="one UDP port for all replicas, by the kernel")
    parser.add_argument("--freebind", action="store_true", help="take addresses that the machine does not have yet")
    parser.add_argument("--no-respawn", action="store_true", help="do not restart a process that exits")
    parser.add_argument("--no-gateway", action="store_true", help="start replicas only")


_REPLICAS = "number of replicas (default: 3)"
_LISTEN = "address of the gateway for HTTP (default: 127.0.0.1:8080)"
_HALF_CLOSE = "a client that half-closed and gets no output for so long has left; 0: never (default: 0.5)"
_UDP = "UDP address of the first replica; the others use the next ports (default: 127.0.0.1:8443)"
_EVERY = f"interval of the replicas' status files (default: {STATUS_SECONDS})"
_RUN_DIR = "directory of the fleet's files (default: .run)"
_POLICY = (
    "home: one replica while it answers; spray: each request to the next one; stripe: several serve a download at "
    "once; lowest-rtt: the nearest (default: home)"
)
_SPOOL = "large input: a directory (default: under --run-dir), or, for programs, redis://..."
_SECONDS = whole_number(0, 86_400)
_REQUEST_TIMEOUT = "time for a client to complete its request, 0: unlimited (default: 60)"
_IDLE_TIMEOUT = "close connections without a request after this time, 0: never (default: 300)"
_CONNECTIONS = whole_number(1, 1 << 20)
_MOST = "most live connections; one more replaces the longest idle (default: 8192)"
_SUITE = "sealed: all traffic to replicas is encrypted; open: bodies in clear (default: sealed)"


PLACES = ("run_dir", "keyring", "spool", "tls_cert", "tls_key", "access_log")  # of all fleets


def fleet_options(
    args: argparse.Namespace, *, command: str, what: str, words: Callable[[int], Sequence[str]]
) -> FleetOptions:
    """Return the parsed options as a value, with the rest of `FleetOptions`; raise `CommandFailed` if they conflict."""
    _check_ports(args)
    tls, usual = _tls_words(args), RunDir(args.run_dir).spool
    spool = store_words(args, "spool", usual)
    freebind = ("--freebind",) if args.freebind else ()
    return FleetOptions(
        command=command,
        what=what,
        words=words,
        replicas=args.replicas,
        listen=None if args.no_gateway else args.listen,
        udp=args.udp,
        run_dir=args.run_dir,
        spool=Path(args.spool) if args.spool is not None and "://" not in args.spool else usual,
        keyring=args.keyring,
        replica_words=(*spool, "--status-every", str(args.status_every), *freebind),
        gateway_words=(*_gateway_words(args), *tls, *freebind),
        scheme="https" if tls else "http",
        reuse_port=args.reuse_port,
        respawn=not args.no_respawn,
    )


def _check_ports(args: argparse.Namespace) -> None:
    host, port = args.udp
    if port + args.replicas > 1 << 16 and not args.reuse_port:
        raise CommandFailed(f"there are no {args.replicas} ports from {shown((host, port))} on")


def _gateway_words(args: argparse.Namespace) -> tuple[str, ...]:
    timeouts = ("--request-timeout", str(args.request_timeout), "--idle-timeout", str(args.idle_timeout))
    most = ("--max-connections", str(args.max_connections), "--half-close", f"{args.half_close:g}")
    return ("--policy", args.policy, "--suite", args.suite, *most, *timeouts)


def _tls_words(args: argparse.Namespace) -> tuple[str, ...]:
    if (args.tls_cert is None) != (args.tls_key is None):
        raise CommandFailed("--tls-cert and --tls-key go together")
    return () if args.tls_cert is None else ("--tls-cert", str(args.tls_cert), "--tls-key", str(args.tls_key))
