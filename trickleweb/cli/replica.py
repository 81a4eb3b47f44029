"""Serve a folder or a program as one replica: it answers datagrams on a UDP socket and keeps no state of clients.

All replicas of a fleet hold one keyring (--keyring DIR, or TRICKLES_KEYRING) and serve the same content; any of them
can answer any datagram. Replicas of a program share a ledger (--ledger), --responses and a spool, too. It prints one
line when it is ready. The commands `serve` and `run` start several replicas.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path

from trickles.command import CommandFailed, Parser, address, make_absolute, seconds
from trickles.drivers.bookkeeping import guard_standard_streams
from trickles.drivers.keystore import KeyringSource
from trickles.drivers.notices import ManagerNotices
from trickles.drivers.ownership import check_file
from trickles.drivers.process import ReplicaProcess
from trickles.drivers.spooldir import SpoolDirectory
from trickles.drivers.world import wall_us
from trickleweb.cli.app_options import add_app_arguments, add_responses_argument, add_telemetry_arguments
from trickleweb.cli.replica_parts import bound, reported
from trickleweb.cli.reporting import to_stderr
from trickleweb.cli.rundir import STATUS_SECONDS
from trickleweb.cli.shared_stores import add_ledger_arguments, redis_place
from trickleweb.cli.site_options import add_site_arguments, checked_directory, loaded_manifest, site_options
from trickleweb.cli.warming import Warming
from trickleweb.files import BackgroundHasher, DigestIndex, FileStore, Hasher, StaticSite
from trickleweb.server import HttpService, Repeats


def add_arguments(parser: Parser) -> None:
    add_site_arguments(parser, needed=False)
    parser.add_argument("--app", metavar="MODULE:ATTRIBUTE", help="the program to serve, instead of a folder")
    add_app_arguments(parser)
    add_responses_argument(parser)
    add_ledger_arguments(parser)
    parser.add_argument("--topics", metavar="FILE|URL", help="topics of event streams, shared by all replicas")
    parser.add_argument("--load-only", action="store_true", help="load the program and exit, to test whether it loads")
    parser.add_argument("--udp", metavar="HOST:PORT", type=address, required=True, help="address for datagrams")
    parser.add_argument("--reuse-port", action="store_true", help="share the UDP port with other replicas")
    parser.add_argument("--freebind", action="store_true", help="take the UDP address before the machine has it")
    parser.add_argument("--keyring", metavar="DIR", help=_KEYRING)
    parser.add_argument("--spool", metavar="DIR|URL", help="large input, shared by all: a directory, or redis://...")
    parser.add_argument("--digests", metavar="FILE", help="file of content hashes, shared by all replicas")
    parser.add_argument("--warm", action="store_true", help="fill --digests before the first requests")
    parser.add_argument("--status-file", metavar="FILE", type=Path, help="write status figures to this file, as JSON")
    parser.add_argument("--status-every", metavar="SECONDS", type=seconds, default=STATUS_SECONDS, help=_EVERY)
    add_telemetry_arguments(parser)


_PLACES = ("manifest", "keyring", "spool", "digests", "topics", "responses", "status_file", "access_log")
_KEYRING = "the fleet's keys: a directory of `trickles keys init`, a file, a mounted secret (default: TRICKLES_KEYRING)"
_EVERY = f"interval of --status-file when figures change (default: {STATUS_SECONDS})"


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; raise UnsafePlace where others could write the files it uses."""
    if (args.app is None) == (args.directory is None):
        raise CommandFailed("nothing to serve: name a folder, or use --app MODULE:ATTRIBUTE")
    guard_standard_streams()
    make_absolute(args, _PLACES)
    for path in (args.status_file, args.digests):
        if path is not None:
            check_file(path)
    if args.app is not None:
        from trickleweb.cli.app_replica import run_app  # imports asyncio and the framework

        return run_app(args)
    with ExitStack() as undo:
        _serve_folder(args, undo)
    return 0


def _serve_folder(args: argparse.Namespace, undo: ExitStack) -> None:
    notices = ManagerNotices()
    directory = checked_directory(args)
    keys = KeyringSource(args.keyring)
    sock = bound(args)
    index = DigestIndex(args.digests) if args.digests else None
    background = BackgroundHasher()
    manifest = loaded_manifest(args, to_stderr)
    store = FileStore(directory, Hasher(time.time_ns, index, defer=background.submit), manifest=manifest)
    log = None
    if args.access_log is not None:
        from trickleweb.cli.monitoring import RequestLog

        log = RequestLog(args, undo)
    server = HttpService(
        StaticSite(store, site_options(args)),
        clock_us=wall_us,
        repeats=Repeats(time.time_ns),
        observe=log.observe if log is not None else None,
    )
    if redis_place(args, "spool") is not None:
        raise CommandFailed("the replicas of a folder take --spool DIR: a store over a network is for programs")
    spool = SpoolDirectory(args.spool) if args.spool else None
    process = ReplicaProcess(server, keys, sock, spool=spool, report=to_stderr)
    warming = Warming(directory, Hasher(time.time_ns, index)) if args.warm and index else None
    replica = reported(args, process, server, undo, notices, warming=warming)
    server.report_errors(replica.reporter.error)
    background.report_errors(replica.reporter.error)
    process.jobs.every(1.0, "log", replica.reporter.forgive)
    if log is not None:
        replica.reporter.more.append(log.figures)
        process.jobs.every(1.0, "log", log.look_again)
    process.run(ready=replica.ready, every=replica.every)
    notices.stopping()
