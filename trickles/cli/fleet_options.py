"""Options that say which fleet: its replicas or how they are found, its identity, and how patient clients are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from trickles.client import ClientConfig, Policy
from trickles.client.config import forgetful
from trickles.command import Parser, one_line, whole_number
from trickles.drivers.dialer import Dialer, is_numeric, parse_address
from trickles.drivers.discovery import (
    AddressRecords,
    AddressSource,
    Discovery,
    DnsServers,
    Listed,
    ReplicaFile,
    ServiceRecords,
    system_servers,
)
from trickles.drivers.keystore import read_server_key
from trickles.drivers.known_hosts import KnownHosts, Rules
from trickles.errors import LocalProtocolError
from trickles.gateway.routing import FleetSpec, Pattern
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.wire.kinds import Address, Suite

_DNS = "all addresses of that name are replicas (repeatable)"
_SRV = "the targets of that name's SRV records are replicas (repeatable)"
_FILE = "a replica on each line, HOST:PORT; watched (repeatable)"
_REFRESH = "how often names are asked for again (default: 10)"
_SERVER = "whom to ask for SRV records (repeatable; default: the system's name servers)"


def add_discovery_arguments(parser: Parser) -> None:
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


def _sources(args: argparse.Namespace) -> Iterator[AddressSource]:
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


SPARE_SOCKETS = 256  # as many short connections as may come at once without making a socket
MAPPED_SPARE_SOCKETS = 16  # the same for one fleet of a map, which may hold many
_KEY = "the fleet's public identity, server.pub"
_POLICIES = [*(policy.value for policy in Policy), "fastest"]
_POLICY = (
    "which replica a request goes to: home (one as long as it answers), spray (each to the next), stripe (several at "
    "once), lowest-rtt (the nearest; fastest is another name for it)"
)
_GIVE_UP = "how long all replicas may be silent before a transfer fails (default: 30)"
_SUITE = "sealed: all is confidential; open: data in clear, for trusted networks and measurements"


def add_fleet_arguments(parser: Parser) -> None:
    parser.add_argument("--server-key", metavar="FILE", help=_KEY)
    parser.add_argument("--policy", choices=_POLICIES, default="home", help=_POLICY)
    parser.add_argument("--suite", choices=["sealed", "open"], default="sealed", help=_SUITE)
    parser.add_argument("--give-up", type=whole_number(1, 3600), default=30, metavar="SECONDS", help=_GIVE_UP)


@dataclass(frozen=True)
class FleetMaker:
    """Makes dialers with the options of one command line; keys are read, and names resolved, at once."""

    args: argparse.Namespace

    @cached_property
    def _default_identity(self) -> bytes | None:
        if self.args.server_key:
            return read_server_key(self.args.server_key)
        text = f"trickles {self.args.command}: no --server-key: the fleet's identity is trusted on first use"
        print(text, file=sys.stderr)
        return None

    def dialer(self, replicas: Sequence[Address], name: str) -> Dialer:
        """To the fleet of the command line; KeyringError and OSError as they come."""
        return Dialer(replicas, self._config(self._default_identity, name), spare_sockets=SPARE_SOCKETS)

    def dialers(self, specs: Mapping[Pattern, FleetSpec], old: Mapping[FleetSpec, Dialer]) -> dict[FleetSpec, Dialer]:
        """To all fleets of a map, those of an older map that are the same among them."""
        return {spec: old.get(spec) or self._mapped(spec) for spec in dict.fromkeys(specs.values())}

    def _mapped(self, spec: FleetSpec) -> Dialer:
        replicas = [checked_address(text) for text in spec.replicas]
        identity = read_server_key(spec.key) if spec.key else self._default_identity
        return Dialer(
            replicas, self._config(identity, ",".join(sorted(spec.replicas))), spare_sockets=MAPPED_SPARE_SOCKETS
        )

    def _config(self, identity: bytes | None, name: str) -> ClientConfig:
        rules: Rules = (
            KnownHosts().rules(name) if identity is None else {"trust": lambda _: False, "note_start": forgetful}
        )
        return ClientConfig(
            identity=identity,
            **rules,
            suite=Suite[self.args.suite.upper()],
            policy=Policy(self.args.policy),
            limits=replace(DEFAULT_LIMITS, give_up_after=self.args.give_up * SECOND),
        )
