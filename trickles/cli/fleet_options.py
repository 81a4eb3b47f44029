"""Options that select a fleet: its replicas or how to find them, its identity, the patience of clients."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from trickles.client import ClientConfig, Policy
from trickles.client.config import forgetful
from trickles.command import Parser, reporter, whole_number
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

_DNS = "all addresses of this name are replicas (repeatable)"
_SRV = "the targets of this name's SRV records are replicas (repeatable)"
_FILE = "a replica on each line, HOST:PORT; watched (repeatable)"
_REFRESH = "interval between lookups of names (default: 10)"
_SERVER = "name server for SRV records (repeatable; default: the system's)"


def add_discovery_arguments(parser: Parser) -> None:
    parser.add_argument("--replica", metavar="HOST:PORT", action="append", default=[], help="a replica (repeatable)")
    parser.add_argument("--replica-dns", metavar="NAME:PORT", action="append", default=[], help=_DNS)
    parser.add_argument("--replica-srv", metavar="NAME", action="append", default=[], help=_SRV)
    parser.add_argument("--replica-file", metavar="FILE", action="append", default=[], help=_FILE)
    parser.add_argument("--refresh", metavar="SECONDS", type=whole_number(1, 86_400), default=10, help=_REFRESH)
    parser.add_argument("--dns-server", metavar="HOST:PORT", action="append", default=[], help=_SERVER)


def discovery(args: argparse.Namespace) -> Discovery:
    """Return the sources that the options name; LocalProtocolError for a malformed address, or when there are none."""
    return Discovery(_some_sources(args), report=reporter(args.command))


async def all_replicas(args: argparse.Namespace) -> list[Address]:
    """Return all replicas that the options name now, however many; DiscoveryError when a source fails."""
    found = [each for source in _some_sources(args) for each in await source.find()]
    return list(dict.fromkeys(found))


def _some_sources(args: argparse.Namespace) -> list[AddressSource]:
    sources = list(_sources(args))
    if not sources:
        raise LocalProtocolError("no replicas: give --replica, --replica-dns, --replica-srv or --replica-file")
    return sources


def names_replicas(args: argparse.Namespace) -> bool:
    """Return True if an option names a replica."""
    return bool(args.replica or args.replica_dns or args.replica_srv or args.replica_file)


def fleet_name(args: argparse.Namespace) -> str:
    """Return the name under which the fleet's identity is remembered."""
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
    try:
        return parse_address(text)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None


SPARE_SOCKETS = 256  # short connections at the same time that need no new socket
MAPPED_SPARE_SOCKETS = 16  # the same for one fleet of a map, which may hold many
_KEY = "the fleet's public identity, server.pub"
_POLICIES = [*(policy.value for policy in Policy), "fastest"]
_POLICY = (
    "which replica a request goes to: home (one for as long as it answers), spray (each in turn), stripe (several at "
    "once), lowest-rtt (the nearest; fastest is another name for it)"
)
_GIVE_UP = "a transfer fails after so long without an answer from any replica (default: 30)"
_SUITE = "sealed: everything is encrypted; open: data in clear, for trusted networks and measurements"


def add_fleet_arguments(parser: Parser) -> None:
    parser.add_argument("--server-key", metavar="FILE", help=_KEY)
    parser.add_argument("--policy", choices=_POLICIES, default="home", help=_POLICY)
    parser.add_argument("--suite", choices=["sealed", "open"], default="sealed", help=_SUITE)
    parser.add_argument("--give-up", type=whole_number(1, 3600), default=30, metavar="SECONDS", help=_GIVE_UP)


@dataclass(frozen=True)
class FleetMaker:
    """Makes dialers from the options of one command line; reads keys and resolves names at once."""

    args: argparse.Namespace

    @cached_property
    def _default_identity(self) -> bytes | None:
        if self.args.server_key:
            return read_server_key(self.args.server_key)
        reporter(self.args.command)("no --server-key: the fleet's identity is trusted on first use")
        return None

    def dialer(self, replicas: Sequence[Address], name: str) -> Dialer:
        """Return a dialer to the fleet of the command line; KeyringError and OSError pass."""
        return Dialer(replicas, self._config(self._default_identity, name), spare_sockets=SPARE_SOCKETS)

    def dialers(self, specs: Mapping[Pattern, FleetSpec], old: Mapping[FleetSpec, Dialer]) -> dict[FleetSpec, Dialer]:
        """Return dialers to all fleets of a map; those of an older map are kept where the fleet is the same."""
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
