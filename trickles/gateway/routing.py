"""Routing: the syntax of hosts, the fleet of each, and which other hosts may be reached by plain TCP."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from typing import Generic, TypeVar

from trickles.drivers.dialer import Dialer, is_numeric
from trickles.errors import BadPacket, LocalProtocolError
from trickles.gateway.certificates import Certificates
from trickles.gateway.reachability import is_global, unmapped

Target = tuple[str, int]  # a host name in lower case or a numeric address, and a port
Network = IPv4Network | IPv6Network
MOST_HOST_BYTES = 253  # RFC 1035 section 2.3.4, less the root
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_AUTHORITY = re.compile(rb"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
WILD, ANY = "*.", "*"
MOST_ENTRIES = 100_000  # of one map
Pattern = tuple[str, int | None]  # a host, `*.` and a domain, or `*` for all; and a port, or None for any
Fleet = TypeVar("Fleet")
HTTPS = 443
MOST_LOOKUPS = 32  # lookups at the same time; others wait
MOST_PLACES = 4  # addresses of one name to try
NOT_ALLOWED = "host not allowed"
NO_SUCH_HOST = "no such host"
NO_ANSWER = "no answer in time"
REFUSED = "connection refused"
NOT_REACHED = "host not reached"
_OWN = tuple(map(ip_network, ("0.0.0.0", "127.0.0.0/8", "::", "::1")))  # unspecified is this machine to connect(2)


def authority_untrusted(text: bytes, port: int | None) -> Target:
    """Parse `HOST:PORT` or `[IPV6]:PORT`, the port optional if `port` is given; BadPacket for anything else."""
    found = _AUTHORITY.fullmatch(text)
    number = port if found is None or found[2] is None else int(found[2])
    if found is None or number is None or not 0 < number < 65_536:
        raise BadPacket("not HOST:PORT")
    host = found[1]
    return bracketed_untrusted(host) if host.startswith(b"[") else host_untrusted(host), number


def bracketed_untrusted(text: bytes) -> str:
    """Return the canonical form of `[IPV6]`; BadPacket for anything else."""
    if b":" not in text or b"%" in text:
        raise BadPacket("not an IPv6 address")
    return host_untrusted(text[1:-1])


def host_untrusted(text: bytes) -> str:
    """Return the canonical form of a host; BadPacket for what is neither a name nor an address."""
    host = text.decode("latin-1").lower().removesuffix(".")
    try:
        return str(ip_address(host.partition("%")[0])) if ":" in host else str(IPv4Address(host))
    except ValueError:
        if ":" in host or len(host) > MOST_HOST_BYTES or not _NAME.fullmatch(host):
            raise BadPacket("not a host") from None
        return host


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks such as `10.0.0.0/8`; ValueError for malformed ones."""
    return tuple(ip_network(text) for text in texts)


def is_open(host: str, allowed: Iterable[Network] = ()) -> bool:
    """Return True if users may reach that numeric address: it is global, or in an allowed network."""
    address = ip_address(host)
    return any(address in network for network in allowed) or is_global(address)


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """A fleet in a command line or a map: replicas, and the file of its identity."""

    replicas: tuple[str, ...]
    key: str | None = None


def parsed_entry(text: str) -> tuple[Pattern, FleetSpec]:
    """Parse `HOST=REPLICA[,REPLICA...][;key=FILE]`; LocalProtocolError for anything else."""
    host, equals, rest = text.partition("=")
    replicas, semicolon, option = rest.partition(";")
    word, _, key = option.partition("=")
    names = tuple(name.strip() for name in replicas.split(","))
    if not equals or not all(names) or (semicolon and (word.strip() != "key" or not key.strip())):
        raise LocalProtocolError(f"not HOST=REPLICA[,REPLICA...][;key=FILE]: {text!r}")
    return _pattern(host.strip()), FleetSpec(names, key.strip() or None)


def parsed_map(text: str) -> list[str]:
    """Return the entries of a map file, one on each line; empty lines and lines that begin with # are ignored."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def specs(entries: Iterable[str]) -> dict[Pattern, FleetSpec]:
    """Return all entries by pattern; LocalProtocolError for malformed, duplicate or too many entries."""
    found: dict[Pattern, FleetSpec] = {}
    for entry in entries:
        pattern, spec = parsed_entry(entry)
        if pattern in found:
            raise LocalProtocolError(f"two entries for one host: {entry!r}")
        if len(found) >= MOST_ENTRIES:
            raise LocalProtocolError(f"more than {MOST_ENTRIES} entries")
        found[pattern] = spec
    return found


def _pattern(text: str) -> Pattern:
    if text == ANY:
        return ANY, None
    wild = WILD if text.startswith(WILD) else ""
    bare = text.removeprefix(WILD).encode("utf-8", "replace")
    try:
        if bare.startswith(b"[") and bare.endswith(b"]"):
            return wild + bracketed_untrusted(bare), None
        if b":" not in bare:
            return wild + host_untrusted(bare), None
        host, port = authority_untrusted(bare, None)
    except BadPacket:
        raise LocalProtocolError(f"not a host, with or without a port: {text!r}") from None
    return wild + host, port


class RouteTable(Generic[Fleet]):
    """Fleets by pattern: a host's own entry comes before that of its domain, one with a port before one without."""

    def __init__(self, fleets: Mapping[Pattern, Fleet]) -> None:
        self._fleets = fleets

    def find(self, host: str, port: int) -> Fleet | None:
        """Return the fleet for a host in canonical form; None when there is none."""
        for name in _names(host):
            for pattern in ((name, port), (name, None)):
                fleet = self._fleets.get(pattern)
                if fleet is not None:
                    return fleet
        return None


def _names(host: str) -> Iterable[str]:
    yield host
    if ":" not in host:
        labels = host.split(".")
        for start in range(1, len(labels)):
            yield WILD + ".".join(labels[start:])
    yield ANY


class Unreachable(Exception):
    """A host cannot be reached by plain TCP; the text is one of the reasons above."""


@dataclass(frozen=True, slots=True)
class DirectAccess:
    """Plain TCP to hosts without a fleet: global addresses, allowed networks, but never this gateway itself."""

    allowed: tuple[Network, ...] = ()
    own_ports: Collection[int] = ()

    async def places(self, target: Target) -> list[Target]:
        """Return the numeric addresses to try; Unreachable when there is none that users may reach.

        These very addresses are checked and used, since a name may change its address.
        """
        host, port = target
        addresses = [host] if is_numeric(host) else await _looked_up(host, port)
        places = [(address, port) for address in addresses if self._is_open(address, port)]
        if not places:
            raise Unreachable(NOT_ALLOWED)
        return places[:MOST_PLACES]

    def _is_open(self, address: str, port: int) -> bool:
        here = port in self.own_ports and is_of_this_machine(address)
        return not here and is_open(address.partition("%")[0], self.allowed)


async def _looked_up(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable(NO_SUCH_HOST) from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(slots=True)
class UpstreamRouter:
    """Finds the upstream of a target; `routes` are replaced when the map changes.

    The default fleet is only for redirected users, who did not choose a host by name. With certificates this gateway
    terminates TLS for fleets on port 443.
    """

    routes: RouteTable[Dialer]
    direct: DirectAccess | None = None
    default_fleet: Dialer | None = None
    certificates: Certificates | None = None

    def find(self, target: Target) -> Dialer | DirectAccess | None:
        """Return the route to a target; None when it may not be reached."""
        return self.routes.find(*target) or self.direct

    def find_redirected(self, target: Target) -> Dialer | DirectAccess | None:
        """Return the route of a redirected connection."""
        return self.routes.find(*target) or self.default_fleet or self.direct


def is_of_this_machine(host: str) -> bool:
    """Return True for an address of this machine: the kernel uses it as the source of packets to it."""
    address = unmapped(ip_address(host.partition("%")[0]))
    if any(address in network for network in _OWN):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))  # which sends nothing
        except OSError:
            return False
        return bool(probe.getsockname()[0] == probe.getpeername()[0])
