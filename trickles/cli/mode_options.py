"""Options of `trickles gateway` about the modes of its listeners, TLS, and the map of hosts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trickles.cli.fleet_options import checked_address
from trickles.command import Parser, reporter
from trickles.drivers.keystore.files import WORLD_UNALTERED, errors_as, read_file
from trickles.errors import LocalProtocolError
from trickles.gateway.certificates import Certificates
from trickles.gateway.routing import FleetSpec, Network, Pattern, networks, parsed_map, specs
from trickles.wire.kinds import Address


def add_tls_arguments(parser: Parser) -> None:
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="serve TLS with this certificate chain (PEM)")
    parser.add_argument(
        "--tls-key", metavar="FILE", type=Path, help="its private key (PEM), readable by its owner alone"
    )


def certificates(args: argparse.Namespace) -> Certificates | None:
    """Return the certificate of the options; CertificateError for unusable files, LocalProtocolError for one alone."""
    if (args.tls_cert is None) != (args.tls_key is None):
        raise LocalProtocolError("--tls-cert and --tls-key go together")
    if args.tls_cert is None:
        return None
    return Certificates(args.tls_cert, args.tls_key, report=reporter("gateway"))


MODES = ("forward", "proxy", "transparent")
MOST_MAP_BYTES = 16 << 20
_LISTEN = "accept TCP connections here, in MODE or that of --mode (repeatable)"
_MODE = "forward: to the fleet; proxy: HTTP proxy and SOCKS 5; transparent: redirected by a firewall (default: forward)"
_MAP = "a host and its fleet; HOST may have a port or begin with *. , and * means all hosts (repeatable)"
_MAP_FILE = "file of such entries, one on each line; watched (repeatable)"
_PASS = "reach hosts in no map by plain TCP, if their addresses are global (default: refuse them)"
_ALLOW = "also pass through to these addresses, such as 10.0.0.0/8 (repeatable)"
ENTRY = "HOST=REPLICA[,REPLICA...][;key=FILE]"


@dataclass(frozen=True, slots=True)
class Listening:
    """An address to listen on, and its mode."""

    mode: str
    address: Address


def add_mode_arguments(parser: Parser) -> None:
    parser.add_argument("--listen", metavar="[MODE@]HOST:PORT", action="append", required=True, help=_LISTEN)
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help=_MODE)
    add_map_arguments(parser)
    add_pass_arguments(parser)


def add_pass_arguments(parser: Parser) -> None:
    parser.add_argument("--pass-through", action="store_true", help=_PASS)
    parser.add_argument("--allow", metavar="NETWORK", action="append", default=[], help=_ALLOW)


def add_map_arguments(parser: Parser) -> None:
    parser.add_argument("--map", metavar=ENTRY, action="append", default=[], help=_MAP)
    parser.add_argument("--map-file", metavar="FILE", action="append", default=[], type=Path, help=_MAP_FILE)


def listening(args: argparse.Namespace) -> list[Listening]:
    """Return where to listen; LocalProtocolError for malformed addresses and modes, and for options without use."""
    found = [_listening(text, args.mode) for text in args.listen]
    if all(each.mode == "forward" for each in found) and (args.map or args.map_file or args.pass_through):
        raise LocalProtocolError("--map, --map-file and --pass-through are for proxy and transparent listeners")
    if any(each.mode == "proxy" for each in found) and not (args.map or args.map_file or args.pass_through):
        raise LocalProtocolError("a proxy needs --map, --map-file or --pass-through")
    return found


def allowed_networks(args: argparse.Namespace) -> tuple[Network, ...]:
    """Return the networks of --allow; LocalProtocolError for a malformed one."""
    if args.allow and not args.pass_through:
        raise LocalProtocolError("--allow needs --pass-through")
    try:
        return networks(args.allow)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None


def mapped(entries: Sequence[str], files: Sequence[Path]) -> dict[Pattern, FleetSpec]:
    """Return the map of the command line and of files; LocalProtocolError for malformed entries."""
    return specs([*entries, *(entry for path in files for entry in parsed_map(_read(path)))])


def _listening(text: str, mode: str) -> Listening:
    word, at, rest = text.rpartition("@")
    if at and word not in MODES:
        raise LocalProtocolError(f"not a mode: {word!r} (there are {', '.join(MODES)})")
    return Listening(word or mode, checked_address(rest))


def _read(path: Path) -> str:
    """Read a map; other users must not be able to change it, since it decides where users are connected."""
    with errors_as(LocalProtocolError, path):
        data = read_file(path, WORLD_UNALTERED, most_bytes=MOST_MAP_BYTES)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise LocalProtocolError(f"{path}: not UTF-8") from None
