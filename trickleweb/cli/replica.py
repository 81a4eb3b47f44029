"""Serve a folder or a program as one replica: it answers datagrams on a UDP socket, and keeps nothing of who sent them.

All replicas of a fleet hold one keyring (--keyring DIR, or TRICKLES_KEYRING) and serve the same; which of them gets a
datagram does not matter. Those that serve a program share a ledger (--ledger) and a spool, too. It says one line when
it is ready. The commands `serve` and `run` start several of them.
"""

from __future__ import annotations

import argparse
import errno
import gc
import signal
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trickles.drivers.bookkeeping import flush_standard_streams, guard_standard_streams
from trickles.drivers.chores import Chores
from trickles.drivers.keystore import KeyringSource, KeyWatch
from trickles.drivers.ownership import check_file
from trickles.drivers.replica import Replica
from trickles.drivers.replica import run as run_replica
from trickles.drivers.spooldir import SWEPT_FOLDERS, SpoolDirectory
from trickles.drivers.stopping import told_to_stop
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import NoncePool, wall_us
from trickles.listener import Listener
from trickleweb.cli.app_options import add_app_arguments, add_telemetry_arguments
from trickleweb.cli.parser import Address, CommandFailed, Parser, address, seconds, shown
from trickleweb.cli.reporting import Reporter, to_stderr
from trickleweb.cli.rundir import STATUS_SECONDS
from trickleweb.cli.site_options import add_site_arguments, checked_directory, site_options
from trickleweb.cli.warming import Warming
from trickleweb.files import BackgroundHasher, DigestIndex, FileStore, Hasher, StaticSite
from trickleweb.server import HttpService, Repeats

if TYPE_CHECKING:
    from trickleweb.cli.telling import Requests


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    add_site_arguments(parser, needed=False)
    parser.add_argument("--app", metavar="MODULE:ATTRIBUTE", help="the program to serve, in place of a folder")
    add_app_arguments(parser)
    parser.add_argument("--ledger", metavar="FILE", help="what programs did once, for all replicas of a machine")
    parser.add_argument("--load-only", action="store_true", help="load the program, and end: to see whether it can be")
    parser.add_argument("--udp", metavar="HOST:PORT", type=address, required=True, help="answer datagrams here")
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other replicas")
    parser.add_argument("--keyring", metavar="DIR", help="the fleet's keys, as `trickles keys init` makes them")
    parser.add_argument("--spool", metavar="DIR", help="keep input larger than a packet here, for all replicas")
    parser.add_argument("--digests", metavar="FILE", help="remember file hashes here, for all replicas of a machine")
    parser.add_argument("--warm", action="store_true", help="fill --digests ahead of the first requests")
    parser.add_argument("--status-file", metavar="FILE", type=Path, help="write figures here, as JSON")
    parser.add_argument("--status-every", metavar="SECONDS", type=seconds, default=STATUS_SECONDS, help=_EVERY)
    add_telemetry_arguments(parser)


_EVERY = f"how often figures that have changed are written (default: {STATUS_SECONDS})"


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; UnsafePlace where others could write what it writes or believes."""
    if (args.app is None) == (args.directory is None):
        raise CommandFailed("say what to serve: a folder, or --app MODULE:ATTRIBUTE")
    guard_standard_streams()
    for path in (args.status_file, args.digests):
        if path is not None:
            check_file(path)
    if args.app is not None:
        from trickleweb.cli.app_replica import run_app

        return run_app(args)
    with ExitStack() as undo:
        _serve_folder(args, undo)
    return 0


def _serve_folder(args: argparse.Namespace, undo: ExitStack) -> None:
    directory = checked_directory(args)
    keys = KeyringSource(args.keyring)
    sock = bound(args.udp, reuse_port=args.reuse_port)
    index = DigestIndex(args.digests) if args.digests else None
    background = BackgroundHasher()
    hasher = Hasher(time.time_ns, index, defer=background.submit)
    store = FileStore(directory, hasher)
    site = StaticSite(store, site_options(args))
    log = _access_log(args, undo)
    server = HttpService(
        site, clock_us=wall_us, repeats=Repeats(time.time_ns), observe=log.observe if log is not None else None
    )
    spool = SpoolDirectory(args.spool) if args.spool else None
    listener = Listener(keys.keyring, server, entropy=NoncePool(sock.identity), spool=spool)
    replica = Replica(listener, sock)
    watch = KeyWatch(keys, listener.replace_keyring, report=to_stderr)
    reporter = Reporter(replica, server, args.status_file)
    reporter.more = watch.figures
    server.report_errors(reporter.error)
    background.report_errors(reporter.error)
    warming = Warming(directory, Hasher(time.time_ns, index)) if args.warm and index else None

    chores = Chores(to_stderr)
    chores.every(args.status_every, "figures", lambda: reporter.write(warming))
    chores.every(1.0, "log", reporter.forgive)
    chores.every(1.0, "log", flush_standard_streams)
    chores.every(1.0, "keys", watch.look)
    if log is not None:
        reporter.more = lambda: {**watch.figures(), **log.figures()}
        chores.every(1.0, "log", log.look_again)
    if spool is not None:
        chores.every(1.0, "spool", partial(spool.sweep, SWEPT_FOLDERS))  # input that nobody will ask for again

    with told_to_stop() as stop:
        _open_admin(args, reporter, chores, undo)
        signal.signal(signal.SIGHUP, lambda *_: chores.hurry())
        chores.tick()
        print(f"replica on {shown(sock.address)}", flush=True)
        gc.freeze()  # what was imported stays: the collector need not look at it again
        run_replica(replica, stop_fd=stop.fileno(), tick=chores.tick, every=min(args.status_every, 1.0))


def _access_log(args: argparse.Namespace, undo: ExitStack) -> Requests | None:
    if args.access_log is None:
        return None
    from trickleweb.cli.telling import Requests

    return Requests(args, undo)


def _open_admin(args: argparse.Namespace, reporter: Reporter, chores: Chores, undo: ExitStack) -> None:
    if args.admin is not None:
        from trickleweb.cli.telling import admin_server

        admin = admin_server(args.admin, reporter, undo)
        assert admin is not None
        chores.every(1.0, "admin", admin.alive)


def bound(place: Address, *, reuse_port: bool) -> BatchSocket:
    """A socket on that address; `CommandFailed` in words if it cannot be had."""
    try:
        return BatchSocket.bind(*place, reuse_port=reuse_port)
    except OSError as exc:
        why = "is in use" if exc.errno == errno.EADDRINUSE else f"cannot be used: {exc.strerror}"
        hint = "choose another with --udp HOST:PORT (make serve: UDP_PORT=...)"
        raise CommandFailed(f"UDP {shown(place)} {why}: {hint}") from None
