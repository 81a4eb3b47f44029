"""The options about what replicas tell: logs, metrics, and whose word about clients they take."""

from __future__ import annotations

import argparse

from trickleweb.cli.parser import Parser, address, shown

ACCESS_FORMATS = ("common", "combined", "json")


def add_admin_argument(parser: Parser) -> None:
    """Declare where metrics and health are told."""
    parser.add_argument("--admin", metavar="[HOST]:PORT", type=address, help=_ADMIN)


def add_telemetry_arguments(parser: Parser) -> None:
    """Declare what replicas of a program tell."""
    add_admin_argument(parser)
    add_access_arguments(parser)
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="of errors (default: text)")


def add_access_arguments(parser: Parser) -> None:
    """Declare the access log of all replicas."""
    parser.add_argument("--access-log", metavar="FILE", help="a line for each response there; - for standard output")
    parser.add_argument("--access-log-format", choices=ACCESS_FORMATS, default=ACCESS_FORMATS[1], help=_FORMAT)
    parser.add_argument("--forwarded-allow-ips", metavar="ADDRESS,...", default="", help=_FORWARDED)


_ADMIN = "tell /metrics and /health here, by HTTP (default host: 127.0.0.1); further replicas on the ports behind it"
_FORMAT = "of the access log (default: combined)"
_FORWARDED = "believe X-Forwarded-For, -Proto and -Host from these peers, networks, or * (default: none)"


def admin_words(args: argparse.Namespace, index: int) -> list[str]:
    """The admin port of a replica, as words for its command line."""
    if args.admin is None:
        return []
    host, port = args.admin
    return ["--admin", shown((host, port and port + index))]


def telemetry_words(args: argparse.Namespace, index: int) -> list[str]:
    """All of the choices, as words for the command line of a replica."""
    return [*admin_words(args, index), *access_words(args), "--log-format", args.log_format]


def access_words(args: argparse.Namespace) -> list[str]:
    """Those about the access log."""
    log = [] if args.access_log is None else [f"--access-log={args.access_log}"]
    form = ["--access-log-format", args.access_log_format]
    return [*log, *form, f"--forwarded-allow-ips={args.forwarded_allow_ips}"]
