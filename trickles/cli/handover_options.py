"""Options of `trickles gateway` about its process: pid file, successor, and the process it ends with."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path

from trickles.command import Parser, whole_number
from trickles.drivers.ownership import check_directory, read_whole
from trickles.errors import LocalProtocolError
from trickles.gateway.process import Handover

_CONTROL = "socket at which a successor asks for the listening sockets (default: --pid-file with the suffix .sock)"
_TAKEOVER = "take over the listening sockets of the gateway that runs with the same --control"
_DRAIN = "time for open connections once a successor has taken over (default: 600)"
_END = "end when this process ends"

_MOST_PID_BYTES = 32


def add_handover_arguments(parser: Parser) -> None:
    parser.add_argument("--pid-file", metavar="FILE", type=Path, help="write the process id to this file when ready")
    parser.add_argument("--control", metavar="FILE", type=Path, help=_CONTROL)
    parser.add_argument("--takeover", action="store_true", help=_TAKEOVER)
    parser.add_argument("--drain", metavar="SECONDS", type=whole_number(0, 86_400 * 7), default=600, help=_DRAIN)
    parser.add_argument("--end-with", metavar="PID", type=whole_number(1, 1 << 22), help=_END)


def handover(args: argparse.Namespace) -> Handover | None:
    """Return the settings of handover, None without a control socket; LocalProtocolError for a takeover without one.

    UnsafePlace if other users could replace the pid file.
    """
    if args.pid_file is not None:
        check_directory(args.pid_file.parent)
    control = args.control or (args.pid_file.with_suffix(".sock") if args.pid_file is not None else None)
    if control is not None:
        return Handover(control, args.takeover, args.drain)
    if args.takeover:
        raise LocalProtocolError("--takeover needs --control or --pid-file, to find the running gateway")
    return None


def drop_pid(path: Path | None) -> None:
    """Remove the pid file at the end of this process, unless a successor has replaced it."""
    with suppress(OSError):  # gone, or never written
        if path is not None and read_whole(path, _MOST_PID_BYTES) == f"{os.getpid()}\n".encode():
            path.unlink()
