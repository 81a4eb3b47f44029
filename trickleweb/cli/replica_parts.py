"""Parts of a replica that depend on its options in the same way for a folder and for a program."""

from __future__ import annotations

import argparse
import errno
import gc
import signal
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from trickles.command import CommandFailed
from trickles.drivers.addresses import shown
from trickles.drivers.bookkeeping import flush_standard_streams
from trickles.drivers.notices import ManagerNotices
from trickles.drivers.process import LOOK_EVERY, ReplicaProcess
from trickles.drivers.udp import BatchSocket
from trickleweb.cli.readiness import say
from trickleweb.cli.reporting import Counting, Reporter
from trickleweb.cli.warming import Warming

if TYPE_CHECKING:
    from trickleweb.telemetry import Meter


class Reported(NamedTuple):
    """A replica's reporter, its readiness line, and the interval of its jobs in seconds."""

    reporter: Reporter
    ready: Callable[[], None]
    every: float


def reported(
    args: argparse.Namespace,
    process: ReplicaProcess,
    server: Counting,
    undo: ExitStack,
    notices: ManagerNotices,
    *,
    meter: Meter | None = None,
    warming: Warming | None = None,
    say: Callable[[str], None] = say,
) -> Reported:
    """Add the reports to the jobs of a replica's process: figures, standard streams, the admin port, the manager's.

    `say` prints the line that it is ready.
    """
    reporter, jobs = Reporter(process.replica, server, args.status_file), process.jobs
    reporter.more.append(process.keys.figures)
    jobs.every(args.status_every, "figures", lambda: reporter.write(warming))
    jobs.every(LOOK_EVERY, "log", flush_standard_streams)
    if args.admin is not None:
        from trickleweb.cli.monitoring import admin_server  # a folder's replica starts sooner without it

        jobs.every(LOOK_EVERY, "admin", admin_server(args.admin, reporter, undo, meter).alive)
    every = min(args.status_every, LOOK_EVERY, notices.every)
    jobs.every(every, "service manager", notices.look)

    def ready() -> None:
        say(f"replica on {shown(process.replica.socket.address)}")
        notices.ready()
        gc.freeze()  # imported objects stay: the collector can skip them

    def reload(*_: object) -> None:
        notices.reloading()
        jobs.hurry()

    signal.signal(signal.SIGHUP, reload)
    return Reported(reporter, ready, every)


def bound(args: argparse.Namespace) -> BatchSocket:
    """Return the socket of --udp; raise `CommandFailed` with a hint."""
    try:
        return BatchSocket.bind(*args.udp, reuse_port=args.reuse_port, freebind=args.freebind)
    except OSError as exc:
        why = "is in use" if exc.errno == errno.EADDRINUSE else f"cannot be used: {exc.strerror}"
        hint = "choose another with --udp HOST:PORT (make serve: UDP_PORT=...)"
        raise CommandFailed(f"UDP {shown(args.udp)} {why}: {hint}") from None
