"""The options of `trickles gateway` about its process: its files, its successor, and whose end ends it."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path

from trickles.command import Parser, whole_number
from trickles.drivers.ownership import check_directory, read_whole
from trickles.errors import LocalProtocolError
from trickles.gateway.process import Handover

_CONTROL = "a successor asks for the listening sockets here (default: beside --pid-file, with .sock for its ending)"
_TAKEOVER = "take the listening sockets over from the gateway that runs with the same --control"
_DRAIN = "how long connections may go on once a successor has taken over (default: 600)"
_END = "end when that process does"

_MOST_PID_BYTES = 32


def add_handover_arguments(parser: Parser) -> None:
    parser.add_argument("--pid-file", metavar="FILE", type=Path, help="write the process id here when ready")
    parser.add_argument("--control", metavar="FILE", type=Path, help=_CONTROL)
    parser.add_argument("--takeover", action="store_true", help=_TAKEOVER)
    parser.add_argument("--drain", metavar="SECONDS", type=whole_number(0, 86_400 * 7), default=600, help=_DRAIN)
    parser.add_argument("--end-with", metavar="PID", type=whole_number(1, 1 << 22), help=_END)


def handover(args: argparse.Namespace) -> Handover | None:
    """What they say; None without a place to ask at, LocalProtocolError for a takeover without one.

    UnsafePlace where others could put a file of their own in the place of the pid file.
    """
    if args.pid_file is not None:
        check_directory(args.pid_file.parent)
    control = args.control or (args.pid_file.with_suffix(".sock") if args.pid_file is not None else None)
    if control is not None:
        return Handover(control, args.takeover, args.drain)
    if args.takeover:
        raise LocalProtocolError("--takeover needs --control or --pid-file, to know whom to ask")
    return None


def drop_pid(path: Path | None) -> None:
    """This process ends; the file stays if it is a successor's by now."""
    with suppress(OSError):  # gone, or never written
        if path is not None and read_whole(path, _MOST_PID_BYTES) == f"{os.getpid()}\n".encode():
            path.unlink()
