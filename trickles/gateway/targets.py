"""Hosts that programs ask for: how they are written, and which of them nobody may reach by way of a gateway."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

from trickles.errors import BadPacket
from trickles.gateway.reachability import is_global

Target = tuple[str, int]  # a host name in lower case or a numeric address, and a port
Network = IPv4Network | IPv6Network
MOST_HOST_BYTES = 253  # RFC 1035 section 2.3.4, less the root
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_AUTHORITY = re.compile(rb"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")


def authority_untrusted(text: bytes, port: int | None) -> Target:
    """`HOST:PORT` or `[IPV6]:PORT`, without the port only if there is one to assume; BadPacket for anything else."""
    found = _AUTHORITY.fullmatch(text)
    number = port if found is None or found[2] is None else int(found[2])
    if found is None or number is None or not 0 < number < 65_536:
        raise BadPacket("not HOST:PORT")
    host = found[1]
    return bracketed_untrusted(host) if host.startswith(b"[") else host_untrusted(host), number


def bracketed_untrusted(text: bytes) -> str:
    """`[IPV6]` in the one form in which it is compared; BadPacket for anything else."""
    if b":" not in text or b"%" in text:
        raise BadPacket("not an IPv6 address")
    return host_untrusted(text[1:-1])


def host_untrusted(text: bytes) -> str:
    """A host in the one form in which it is compared; BadPacket for what is neither a name nor an address."""
    host = text.decode("latin-1").lower().removesuffix(".")
    try:
        return str(ip_address(host.partition("%")[0])) if ":" in host else str(IPv4Address(host))
    except ValueError:
        if ":" in host or len(host) > MOST_HOST_BYTES or not _NAME.fullmatch(host):
            raise BadPacket("not a host") from None
        return host


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks such as `10.0.0.0/8`; ValueError for what is none."""
    return tuple(ip_network(text) for text in texts)


def is_open(host: str, allowed: Iterable[Network] = ()) -> bool:
    """Whether a numeric address is one that any program may reach: global, or in one of the networks allowed."""
    address = ip_address(host)
    if any(address in network for network in allowed):
        return True
    return is_global(address)
