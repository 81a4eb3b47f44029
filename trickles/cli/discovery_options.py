"""The options of `trickles gateway` that say where the replicas are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from trickles.command import Parser, one_line, whole_number
from trickles.drivers.dialer import is_numeric, parse_address
from trickles.drivers.discovery import (
    AddressRecords,
    Discovery,
    DnsServers,
    Listed,
    ReplicaFile,
    ServiceRecords,
    Source,
    system_servers,
)
from trickles.errors import LocalProtocolError
from trickles.wire.kinds import Address

_DNS = "all addresses of that name are replicas (repeatable)"
_SRV = "the targets of that name's SRV records are replicas (repeatable)"
_FILE = "a replica on each line, HOST:PORT; watched (repeatable)"
_REFRESH = "how often names are asked for again (default: 10)"
_SERVER = "whom to ask for SRV records (repeatable; default: the system's name servers)"


def add_discovery_arguments(parser: Parser) -> None:
    """Declare them."""
    parser.add_argument("--replica", metavar="HOST:PORT", action="append", default=[], help="a replica (repeatable)")
    parser.add_argument("--replica-dns", metavar="NAME:PORT", action="append", default=[], help=_DNS)
    parser.add_argument("--replica-srv", metavar="NAME", action="append", default=[], help=_SRV)
    parser.add_argument("--replica-file", metavar="FILE", action="append", default=[], help=_FILE)
    parser.add_argument("--refresh", metavar="SECONDS", type=whole_number(1, 86_400), default=10, help=_REFRESH)
    parser.add_argument("--dns-server", metavar="HOST:PORT", action="append", default=[], help=_SERVER)


def discovery(args: argparse.Namespace) -> Discovery:
    """What they say; LocalProtocolError for what is no address, and when nothing names a replica."""
    sources = list(_sources(args))
    if not sources:
        raise LocalProtocolError("no replicas: say --replica, --replica-dns, --replica-srv or --replica-file")

    def tell(text: str) -> None:
        print(f"trickles gateway: {one_line(text)}", file=sys.stderr, flush=True)

    return Discovery(sources, report=tell)


def names_replicas(args: argparse.Namespace) -> bool:
    """Whether they say anything."""
    return bool(args.replica or args.replica_dns or args.replica_srv or args.replica_file)


def fleet_name(args: argparse.Namespace) -> str:
    """What the fleet is called where identities are remembered."""
    files = [str(Path(each).absolute()) for each in args.replica_file]
    return ",".join(sorted([*args.replica, *args.replica_dns, *args.replica_srv, *files]))


def _sources(args: argparse.Namespace) -> Iterator[Source]:
    if args.replica:
        yield Listed([checked_address(text) for text in args.replica])
    for path in args.replica_file:
        yield ReplicaFile(Path(path))
    for text in args.replica_dns:
        yield AddressRecords(*checked_address(text), every=args.refresh)
    if args.replica_srv:
        named = [checked_address(text) for text in args.dns_server]
        if not all(is_numeric(host) for host, _ in named):
            raise LocalProtocolError("--dns-server takes an address, not a name")
        servers = DnsServers(named or system_servers())
        for name in args.replica_srv:
            yield ServiceRecords(name, servers, every=args.refresh)


def checked_address(text: str) -> Address:
    """`HOST:PORT`; LocalProtocolError when it is not."""
    try:
        return parse_address(text)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None
