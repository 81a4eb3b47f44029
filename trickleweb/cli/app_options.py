"""Options that commands share: which program is served and how, and what replicas report."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

from trickles.command import Parser, address, whole_number
from trickles.drivers.addresses import shown

THREADS = 32  # of a program for WSGI


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOptions:
    """Which program, and how it is served. `max_body_bytes` is None for what the program itself says."""

    name: str
    folder: str = "."
    factory: bool = False
    wsgi: bool = False
    max_body_bytes: int | None = None
    repeat: tuple[str, ...] = ()
    threads: int = THREADS


_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)", re.IGNORECASE | re.ASCII)
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def add_app_arguments(parser: Parser) -> None:
    """Declare how a program is found and served."""
    parser.add_argument("--app-dir", metavar="DIR", default=".", help="where to look for the module (default: here)")
    parser.add_argument("--factory", action="store_true", help="call the attribute, to get the program")
    parser.add_argument("--wsgi", action="store_true", help="it is a program for WSGI (default: found out)")
    parser.add_argument("--threads", metavar="N", type=whole_number(1, 1024), default=THREADS, help=_THREADS)
    parser.add_argument("--max-body", metavar="SIZE", type=size, help=_MAX_BODY)
    parser.add_argument("--repeat", metavar="METHOD,...", type=methods, default=(), help=_REPEAT)


_THREADS = f"how many requests a replica works on at once, if it is a program for WSGI (default: {THREADS})"
_MAX_BODY = "the most that a request's body may have, such as 300M (default: 16M, or what an App says itself)"
_REPEAT = "methods that are run again if their replica dies at work on them, such as PUT,DELETE (default: none)"


def size(text: str) -> int:
    """A type for an argument: bytes, or with K, M, G, T behind the number, 1024 of the unit before."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"not a size, such as 65536, 64K or 1G: {text!r}")
    return int(found[1]) << _UNITS[found[2].upper()]


def methods(text: str) -> tuple[str, ...]:
    """A type for an argument: unsafe methods, with commas between them."""
    names = tuple(name.strip().upper() for name in text.split(","))
    if not _METHODS.issuperset(names):
        raise argparse.ArgumentTypeError(f"not among {', '.join(sorted(_METHODS))}: {text!r}")
    return names


def program_options(name: str, args: argparse.Namespace) -> ProgramOptions:
    """The choices as a value."""
    return ProgramOptions(
        name=name,
        folder=args.app_dir,
        factory=args.factory,
        wsgi=args.wsgi,
        max_body_bytes=args.max_body,
        repeat=args.repeat,
        threads=args.threads,
    )


def app_words(name: str, args: argparse.Namespace) -> list[str]:
    """The same choices as words for another process's command line."""
    flags = [word for word, said in (("--factory", args.factory), ("--wsgi", args.wsgi)) if said]
    limit = [] if args.max_body is None else ["--max-body", str(args.max_body)]
    repeat = ["--repeat", ",".join(args.repeat)] if args.repeat else []
    threads = ["--threads", str(args.threads)]
    return ["--app", name, f"--app-dir={args.app_dir}", *flags, *threads, *limit, *repeat]


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
