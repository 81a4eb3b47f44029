"""Options of `trickles gateway` for monitoring: access log, metrics, status file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from trickles.command import Parser
from trickles.drivers.dialer import parse_address
from trickles.drivers.ownership import check_directory
from trickles.errors import LocalProtocolError
from trickles.gateway.accesslog import FORMATS, ConnectionLog
from trickles.gateway.metrics import Metrics, MetricsServer
from trickles.gateway.server import Gateway
from trickles.wire.kinds import Address

_METRICS = "serve GET /metrics (Prometheus) and /health here; :PORT means loopback"


def add_watching_arguments(parser: Parser) -> None:
    parser.add_argument("--access-log", metavar="FILE", help="write a line for each ended connection; - is stdout")
    parser.add_argument("--access-log-format", choices=list(FORMATS), default="text", help="default: text")
    parser.add_argument("--metrics", metavar="[HOST]:PORT", help=_METRICS)
    parser.add_argument("--status-file", metavar="FILE", help="write counters to this file every second, as JSON")


class Watching:
    """Access log and metrics of one gateway; OSError if the log cannot be opened, LocalProtocolError for a bad address.

    UnsafePlace if other users could replace the status file.
    """

    def __init__(self, args: argparse.Namespace, gateway: Gateway, report: Callable[[str], None]) -> None:
        if args.status_file is not None:
            check_directory(Path(args.status_file).parent)
        self._place = _place(args.metrics) if args.metrics is not None else None
        self._own_ports = gateway.own_ports
        self._log: ConnectionLog | None = None
        self._server: MetricsServer | None = None
        if args.access_log is not None:
            path = None if args.access_log == "-" else Path(args.access_log)
            self._log = ConnectionLog(path, FORMATS[args.access_log_format], report=report)
            gateway.watch(self._log.write)
        if self._place is not None:
            metrics = Metrics()
            gateway.watch(metrics.note)
            self._server = MetricsServer(
                {
                    "/metrics": lambda: metrics.render(gateway.statistics, gateway.live, gateway.packets()),
                    "/health": lambda: "ok\n",
                }
            )

    async def begin(self) -> None:
        if self._server is not None and self._place is not None:
            await self._server.listen(*self._place)
            self._own_ports.add(self._server.port)

    def tick(self) -> None:
        if self._log is not None:
            self._log.flush()

    def reload(self) -> None:
        if self._log is not None:
            self._log.reopen()

    def left(self) -> None:
        if self._server is not None:
            self._server.close()

    def close(self) -> None:
        self.left()
        if self._log is not None:
            self._log.close()


def _place(text: str) -> Address:
    try:
        return parse_address(f"127.0.0.1{text}" if text.startswith(":") else text)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None
