"""Telemetry of a replica, built from its options: logs, figures, and the admin port."""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import ExitStack

from trickles.command import CommandFailed
from trickles.drivers.addresses import Address, shown
from trickleweb.application import Application
from trickleweb.cli.reporting import Reporter
from trickleweb.server import Answered
from trickleweb.telemetry import (
    AccessLog,
    AdminServer,
    ErrorHandler,
    ErrorLog,
    Forwarded,
    LogFile,
    Meter,
    Named,
    exposition,
    trusted,
)


class RequestLog:
    """The access log; `undo` closes it. Raises `CommandFailed` if it cannot be written."""

    def __init__(self, args: argparse.Namespace, undo: ExitStack) -> None:
        self._file = _log_file(args.access_log)
        self._log = AccessLog(self._file.write, args.access_log_format, trusted(args.forwarded_allow_ips))
        undo.callback(self._file.close)

    def observe(self, answered: Answered) -> None:
        self._log(answered)

    def look_again(self) -> None:
        """Reopen a rotated log; to be called periodically."""
        self._file.look_again()

    def figures(self) -> dict[str, object]:
        return {"log_lines_lost": self._file.lost}


class Monitoring:
    """Observers of a replica of a program; `undo` closes their files."""

    def __init__(self, args: argparse.Namespace, undo: ExitStack) -> None:
        self.errors = ErrorLog(_to_stderr, as_json=args.log_format == "json")
        logger = logging.getLogger("trickleweb")  # the framework logs errors of the program
        logger.addHandler(ErrorHandler(self.errors))
        logger.propagate = False
        self.meter = Meter()
        self._peers = trusted(args.forwarded_allow_ips)
        self._log = RequestLog(args, undo) if args.access_log is not None else None

    def around(self, application: Application) -> Application:
        """Return the application wrapped for forwarded addresses and request names in the logs."""
        return Named(Forwarded(application, self._peers) if self._peers.networks else application)

    def observe(self, answered: Answered) -> None:
        self.meter(answered)
        if self._log is not None:
            self._log.observe(answered)

    def figures(self) -> dict[str, object]:
        lost = {} if self._log is None else self._log.figures()
        return {"errors": self.errors.count, "resumed": self.meter.resumed, **lost}

    def look_again(self) -> None:
        """Reopen rotated logs; to be called periodically."""
        if self._log is not None:
            self._log.look_again()


def admin_server(place: Address, reporter: Reporter, undo: ExitStack, meter: Meter | None = None) -> AdminServer:
    """Return the admin server, closed by `undo`; raise `CommandFailed` if its port cannot be bound."""
    try:
        server = AdminServer(*place, lambda: exposition(reporter.figures(), meter.families() if meter else ()))
    except OSError as error:
        raise CommandFailed(
            f"the admin port {shown(place)} cannot be used: {error.strerror}: use another with --admin"
        ) from None
    undo.callback(server.close)
    reporter.admin = shown(server.address)
    return server


def _log_file(path: str) -> LogFile:
    try:
        return LogFile(path)
    except OSError as error:
        raise CommandFailed(f"the access log {path} cannot be written: {error.strerror}") from None


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
