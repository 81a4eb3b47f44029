"""Global unicast addresses by IANA's registries, independent of the Python version.

Three registries define them (as of November 2026; each row below names its document):

- special-purpose addresses of IPv4 (https://www.iana.org/assignments/iana-ipv4-special-registry) and IPv6
  (https://www.iana.org/assignments/iana-ipv6-special-registry), column "Globally Reachable" (RFC 6890, RFC 8190);
- the IPv6 address space (https://www.iana.org/assignments/ipv6-address-space): global unicast is 2000::/3 alone, all
  else is reserved. So a block that IANA defines outside of it tomorrow is not global here either.

The longest matching prefix decides. A few prefixes contain an IPv4 address, the actual destination for a translator, a
tunnel or the host itself: those are judged by that address. "N/A" in a registry is not global.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_network

Address = IPv4Address | IPv6Address


class Reach(Enum):
    """Kinds of blocks: global, not global, or as the IPv4 address at that bit."""

    GLOBAL = -1
    NOT = -2
    IPV4_AT_16 = 16
    IPV4_AT_96 = 96


_IPV4 = """
0.0.0.0/0           GLOBAL
0.0.0.0/8           NOT     RFC 791 "this network"
10.0.0.0/8          NOT     RFC 1918 private use
100.64.0.0/10       NOT     RFC 6598 shared by carriers' translators
127.0.0.0/8         NOT     RFC 1122 loopback
169.254.0.0/16      NOT     RFC 3927 link-local
172.16.0.0/12       NOT     RFC 1918 private use
192.0.0.0/24        NOT     RFC 6890 IETF protocol assignments, with what RFC 7335, 7600 and 8880 put there
192.0.0.9/32        GLOBAL  RFC 7723 port control protocol, anycast
192.0.0.10/32       GLOBAL  RFC 8155 TURN, anycast
192.0.2.0/24        NOT     RFC 5737 documentation
192.88.99.0/24      NOT     RFC 7526 6to4 relays, given up
192.168.0.0/16      NOT     RFC 1918 private use
198.18.0.0/15       NOT     RFC 2544 benchmarks
198.51.100.0/24     NOT     RFC 5737 documentation
203.0.113.0/24      NOT     RFC 5737 documentation
224.0.0.0/4         NOT     RFC 5771 multicast
240.0.0.0/4         NOT     RFC 1112 reserved, with the broadcast address at its end (RFC 8190)
"""  # AS112 (RFC 7534, 7535) and AMT (RFC 7450) have blocks of their own, which are global

_IPV6 = """
::/0                NOT         RFC 4291 reserved; ::, ::1, ::/96 (IPv4-compatible) and fec0::/10 (site-local) among it
2000::/3            GLOBAL      RFC 4291 global unicast
::ffff:0:0/96       IPV4_AT_96  RFC 4291 IPv4-mapped: the host itself connects by IPv4
64:ff9b::/96        IPV4_AT_96  RFC 6052 translated to IPv4
64:ff9b:1::/48      NOT         RFC 8215 translation within one network
100::/64            NOT         RFC 6666 discard-only
100:0:0:1::/64      NOT         RFC 9780 dummy
2001::/23           NOT         RFC 2928 IETF protocol assignments, with Teredo (RFC 4380) and benchmarks (RFC 5180)
2001:1::1/128       GLOBAL      RFC 7723 port control protocol, anycast
2001:1::2/128       GLOBAL      RFC 8155 TURN, anycast
2001:1::3/128       GLOBAL      RFC 9665 service registration, anycast
2001:3::/32         GLOBAL      RFC 7450 automatic multicast tunnels
2001:4:112::/48     GLOBAL      RFC 7535 AS112
2001:20::/28        GLOBAL      RFC 7343 ORCHIDv2
2001:30::/28        GLOBAL      RFC 9374 drone remote identification
2001:db8::/32       NOT         RFC 3849 documentation
2002::/16           IPV4_AT_16  RFC 3056 6to4: a tunnel to that IPv4 address
3fff::/20           NOT         RFC 9637 documentation
5f00::/16           NOT         RFC 9602 segment routing
fc00::/7            NOT         RFC 4193 unique local
fe80::/10           NOT         RFC 4291 link-local
ff00::/8            NOT         RFC 4291 multicast
"""

Table = tuple[tuple[int, dict[int, Reach]], ...]  # for each length of a prefix, the longest first, its networks


def _table(text: str) -> Table:
    found: dict[int, dict[int, Reach]] = {}
    for line in text.strip().splitlines():
        block, reach = line.split()[:2]
        network = ip_network(block)
        found.setdefault(network.prefixlen, {})[int(network.network_address)] = Reach[reach]
    return tuple(sorted(found.items(), reverse=True))


_TABLES: dict[int, Table] = {4: _table(_IPV4), 6: _table(_IPV6)}


def is_global(address: Address) -> bool:
    """Return True if a packet to that address is for one host of the Internet at large."""
    reach = _reach(address)
    if reach in (Reach.GLOBAL, Reach.NOT):
        return reach is Reach.GLOBAL
    return is_global(_carried(address, reach.value))


def unmapped(address: Address) -> Address:
    """Return the IPv4 address in a mapped IPv6 address; else the address."""
    mapped = address.version == 6 and int(address) >> 32 == 0xFFFF
    return _carried(address, 96) if mapped else address


def _reach(address: Address) -> Reach:
    number, bits = int(address), address.max_prefixlen
    for length, networks in _TABLES[address.version]:
        reach = networks.get(number >> (bits - length) << (bits - length))
        if reach is not None:
            return reach
    raise AssertionError("each table has a network of all addresses")


def _carried(address: Address, bit: int) -> IPv4Address:
    return IPv4Address(int(address) >> (96 - bit) & 0xFFFF_FFFF)
