"""Options that commands share: the program to serve, its limits, and its telemetry."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

from trickles.command import Parser, address, seconds_or_never, whole_number
from trickles.drivers.addresses import shown
from trickleweb.limits import RESPONSE_BYTES, SAFE_METHODS

THREADS = 32  # of a WSGI program
DRAIN_SECONDS = 10.0  # most handlers take less; init systems wait longer before they kill


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOptions:
    """The program to serve, and how. `max_body_bytes` None means the program's own limit."""

    name: str
    folder: str = "."
    factory: bool = False
    wsgi: bool = False
    max_body_bytes: int | None = None
    repeat: tuple[str, ...] = ()
    threads: int = THREADS


_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)", re.IGNORECASE | re.ASCII)
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Z-]+", re.ASCII)
_IDEMPOTENT = ("PUT", "DELETE")  # RFC 9110 9.2.2


def add_app_arguments(parser: Parser) -> None:
    """Declare the options about finding and serving a program."""
    parser.add_argument("--app-dir", metavar="DIR", default=".", help="directory of the module (default: current)")
    parser.add_argument("--factory", action="store_true", help="call the attribute to get the program")
    parser.add_argument("--wsgi", action="store_true", help="serve it as a WSGI program (default: detected)")
    parser.add_argument("--threads", metavar="N", type=whole_number(1, 1024), default=THREADS, help=_THREADS)
    parser.add_argument("--max-body", metavar="SIZE", type=size, help=_MAX_BODY)
    parser.add_argument("--max-response", metavar="SIZE", type=size, default=RESPONSE_BYTES, help=_MAX_RESPONSE)
    parser.add_argument("--drain", metavar="SECONDS", type=seconds_or_never, default=DRAIN_SECONDS, help=_DRAIN)
    parser.add_argument("--repeat", metavar="METHOD,...", type=methods, default=_IDEMPOTENT, help=_REPEAT)


_THREADS = f"requests a replica of a WSGI program handles at once (default: {THREADS})"
_MAX_BODY = "largest request body, such as 300M (default: 1G, or an App's own limit)"
_MAX_RESPONSE = "largest response to a POST or another unsafe request, which is stored (default: 1G)"
_DRAIN = f"time after SIGTERM for unsafe requests that run then; 0: none (default: {DRAIN_SECONDS:g})"
_RESPONSES = "stored responses, shared by all replicas: a folder (default: under the run directory), or redis://..."
_REPEAT = "unsafe methods that a program runs again when their replica dies, or none (default: PUT,DELETE)"


def add_responses_argument(parser: Parser) -> None:
    """Declare the place of stored responses."""
    parser.add_argument("--responses", metavar="DIR|URL", help=_RESPONSES)


def size(text: str) -> int:
    """Parse a size argument: bytes, or units of 1024 with the suffix K, M, G or T."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"not a size, such as 65536, 64K or 1G: {text!r}")
    return int(found[1]) << _UNITS[found[2].upper()]


def methods(text: str) -> tuple[str, ...]:
    """Parse a list of unsafe methods, separated by commas; `none` is an empty one."""
    if text.strip().lower() == "none":
        return ()
    names = tuple(name.strip().upper() for name in text.split(","))
    if not all(_METHOD.fullmatch(name) and name not in SAFE_METHODS for name in names):
        raise argparse.ArgumentTypeError(f"not a list of unsafe methods, such as PUT,DELETE: {text!r}")
    return names


def program_options(name: str, args: argparse.Namespace) -> ProgramOptions:
    """Return the parsed options as a value."""
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
    """Return the same options as arguments for a replica's command line."""
    flags = [word for word, is_set in (("--factory", args.factory), ("--wsgi", args.wsgi)) if is_set]
    limit = [] if args.max_body is None else ["--max-body", str(args.max_body)]
    repeat = ["--repeat", ",".join(args.repeat) or "none"]
    threads = ["--threads", str(args.threads)]
    most = ["--max-response", str(args.max_response)]
    drain = ["--drain", f"{args.drain:g}"]
    return ["--app", name, f"--app-dir={args.app_dir}", *flags, *threads, *limit, *most, *repeat, *drain]


ACCESS_FORMATS = ("common", "combined", "json")


def add_admin_argument(parser: Parser) -> None:
    """Declare the address of metrics and health."""
    parser.add_argument("--admin", metavar="[HOST]:PORT", type=address, help=_ADMIN)


def add_telemetry_arguments(parser: Parser) -> None:
    """Declare the telemetry options of replicas."""
    add_admin_argument(parser)
    add_access_arguments(parser)
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="format of error logs (default: text)"
    )


def add_access_arguments(parser: Parser) -> None:
    """Declare the access log of all replicas."""
    parser.add_argument("--access-log", metavar="FILE", help="write a line for each response; -: standard output")
    parser.add_argument("--access-log-format", choices=ACCESS_FORMATS, default=ACCESS_FORMATS[1], help=_FORMAT)
    parser.add_argument("--forwarded-allow-ips", metavar="ADDRESS,...", default="", help=_FORWARDED)


_ADMIN = "serve /metrics and /health by HTTP here (default host: 127.0.0.1); further replicas use the next ports"
_FORMAT = "format of the access log (default: combined)"
_FORWARDED = "trust X-Forwarded-For, -Proto and -Host from these peers, networks, or * (default: none)"


def admin_words(args: argparse.Namespace, index: int) -> list[str]:
    """Return the admin address of a replica as arguments for its command line."""
    if args.admin is None:
        return []
    host, port = args.admin
    return ["--admin", shown((host, port and port + index))]


def telemetry_words(args: argparse.Namespace, index: int) -> list[str]:
    """Return all telemetry options as arguments for a replica's command line."""
    return [*admin_words(args, index), *access_words(args), "--log-format", args.log_format]


def access_words(args: argparse.Namespace) -> list[str]:
    """Return the options of the access log as arguments."""
    log = [] if args.access_log is None else [f"--access-log={args.access_log}"]
    form = ["--access-log-format", args.access_log_format]
    return [*log, *form, f"--forwarded-allow-ips={args.forwarded_allow_ips}"]
