"""The options of `trickles gateway` that say what its listening sockets speak, and which hosts lead where."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trickles.cli.fleet_options import checked_address
from trickles.command import Parser, one_line
from trickles.drivers.keystore.files import WORLD_UNALTERED, errors_as, read_file
from trickles.errors import LocalProtocolError
from trickles.gateway.certificates import Certificates
from trickles.gateway.routing import FleetSpec, Network, Pattern, networks, parsed_map, specs
from trickles.wire.kinds import Address


def add_tls_arguments(parser: Parser) -> None:
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="speak TLS, with this certificate chain (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its key (PEM), which no other user may read")


def certificates(args: argparse.Namespace) -> Certificates | None:
    """What they say; CertificateError when the files cannot be used, LocalProtocolError when one is missing."""
    if (args.tls_cert is None) != (args.tls_key is None):
        raise LocalProtocolError("--tls-cert and --tls-key go together")
    if args.tls_cert is None:
        return None

    def tell(text: str) -> None:
        print(f"trickles gateway: {one_line(text)}", file=sys.stderr, flush=True)

    return Certificates(args.tls_cert, args.tls_key, report=tell)


MODES = ("forward", "proxy", "transparent")
MOST_MAP_BYTES = 16 << 20
_LISTEN = "accept TCP connections here; MODE@ before it says what for, else --mode does (repeatable)"
_MODE = (
    "forward: to the fleet; proxy: HTTP proxy and SOCKS 5; transparent: what a firewall sends here (default: forward)"
)
_MAP = "a host and its fleet; HOST may have a port or begin with *. , and * is all hosts (repeatable)"
_MAP_FILE = "more of them, one on each line; watched (repeatable)"
_PASS = "hosts that are in no map are reached by plain TCP, if their addresses are global (default: they are refused)"
_ALLOW = "pass through to these addresses too, such as 10.0.0.0/8 (repeatable)"
ENTRY = "HOST=REPLICA[,REPLICA...][;key=FILE]"


@dataclass(frozen=True, slots=True)
class Listening:
    """A place to listen, and the mode that is in force there."""

    mode: str
    address: Address


def add_mode_arguments(parser: Parser) -> None:
    parser.add_argument("--listen", metavar="[MODE@]HOST:PORT", action="append", required=True, help=_LISTEN)
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help=_MODE)
    add_map_arguments(parser)
    add_pass_arguments(parser)


def add_pass_arguments(parser: Parser) -> None:
    """Declare those about hosts of no fleet."""
    parser.add_argument("--pass-through", action="store_true", help=_PASS)
    parser.add_argument("--allow", metavar="NETWORK", action="append", default=[], help=_ALLOW)


def add_map_arguments(parser: Parser) -> None:
    """Declare those about hosts."""
    parser.add_argument("--map", metavar=ENTRY, action="append", default=[], help=_MAP)
    parser.add_argument("--map-file", metavar="FILE", action="append", default=[], type=Path, help=_MAP_FILE)


def listening(args: argparse.Namespace) -> list[Listening]:
    """Where to listen; LocalProtocolError for what is no address or no mode, and for hosts that nobody asks for."""
    found = [_listening(text, args.mode) for text in args.listen]
    if all(each.mode == "forward" for each in found) and (args.map or args.map_file or args.pass_through):
        raise LocalProtocolError("--map, --map-file and --pass-through are for proxy and transparent listeners")
    if any(each.mode == "proxy" for each in found) and not (args.map or args.map_file or args.pass_through):
        raise LocalProtocolError("a proxy leads nowhere without --map, --map-file or --pass-through")
    return found


def allowed_networks(args: argparse.Namespace) -> tuple[Network, ...]:
    """What --allow says; LocalProtocolError for what is no network."""
    if args.allow and not args.pass_through:
        raise LocalProtocolError("--allow goes with --pass-through")
    try:
        return networks(args.allow)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None


def mapped(entries: Sequence[str], files: Sequence[Path]) -> dict[Pattern, FleetSpec]:
    """All that is mapped, from the command line and from files; LocalProtocolError for what cannot be used."""
    return specs([*entries, *(entry for path in files for entry in parsed_map(_read(path)))])


def _listening(text: str, mode: str) -> Listening:
    word, at, rest = text.rpartition("@")
    if at and word not in MODES:
        raise LocalProtocolError(f"not a mode: {word!r} (there are {', '.join(MODES)})")
    return Listening(word or mode, checked_address(rest))


def _read(path: Path) -> str:
    """The text of a map, which decides whom programs reach: not one that anybody could have changed."""
    with errors_as(LocalProtocolError, path):
        data = read_file(path, WORLD_UNALTERED, most_bytes=MOST_MAP_BYTES)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise LocalProtocolError(f"{path}: not UTF-8") from None
