"""Which addresses are global: every edge of IANA's special-purpose blocks, the same with every Python."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.gateway.reachability import is_global, unmapped
from trickles.gateway.routing import is_open, networks

ROOT = Path(__file__).parent.parent.parent

# Each block, whether its first and last address are global, and the same of its neighbours on both sides.
EDGES = """
block              inside  before  after
0.0.0.0/8          no      -       yes
10.0.0.0/8         no      yes     yes
100.64.0.0/10      no      yes     yes
127.0.0.0/8        no      yes     yes
169.254.0.0/16     no      yes     yes
172.16.0.0/12      no      yes     yes
192.0.0.0/24       no      yes     yes
192.0.0.0/29       no      yes     no
192.0.0.8/32       no      no      yes
192.0.0.9/32       yes     no      yes
192.0.0.10/32      yes     yes     no
192.0.0.170/31     no      no      no
192.0.2.0/24       no      yes     yes
192.31.196.0/24    yes     yes     yes
192.52.193.0/24    yes     yes     yes
192.88.99.0/24     no      yes     yes
192.168.0.0/16     no      yes     yes
192.175.48.0/24    yes     yes     yes
198.18.0.0/15      no      yes     yes
198.51.100.0/24    no      yes     yes
203.0.113.0/24     no      yes     yes
224.0.0.0/4        no      yes     no
240.0.0.0/4        no      no      -
255.255.255.255/32 no      no      -
::/128             no      -       no
::1/128            no      no      no
::/96              no      -       no
::ffff:10.0.0.0/104 no     yes     yes
::ffff:127.0.0.0/104 no    yes     yes
64:ff9b::10.0.0.0/104 no   yes     yes
64:ff9b::/104      no      no      yes
64:ff9b::ffff:0:0/96 no    no      no
64:ff9b:1::/48     no      no      no
100::/64           no      no      no
100:0:0:1::/64     no      no      no
2000::/16          yes     no      no
2001::/23          no      yes     yes
2001::/32          no      yes     no
2001:1::1/128      yes     no      yes
2001:1::2/128      yes     yes     yes
2001:1::3/128      yes     yes     no
2001:2::/48        no      no      no
2001:3::/32        yes     no      no
2001:4:112::/48    yes     no      no
2001:10::/28       no      no      yes
2001:20::/28       yes     no      yes
2001:30::/28       yes     yes     no
2001:db8::/32      no      yes     yes
2002::/24          no      yes     yes
2002:a00::/24      no      yes     yes
2002:a9fe::/32     no      yes     yes
2002:c058:6300::/40 no     yes     yes
2002:e000::/19     no      yes     yes
2620:4f:8000::/48  yes     yes     yes
3fff::/20          no      yes     yes
3fff:f000::/20     yes     yes     no
4000::/3           no      yes     no
5f00::/16          no      no      no
fc00::/7           no      no      no
fe80::/10          no      no      no
fec0::/10          no      no      no
ff00::/8           no      no      -
"""
ROWS = [line.split() for line in EDGES.strip().splitlines()[1:]]


def expected(word: str) -> bool | None:
    """What a column says; None where there is no neighbour."""
    return {"yes": True, "no": False, "-": None}[word]


@pytest.mark.parametrize(("block", "inside", "before", "after"), ROWS, ids=[row[0] for row in ROWS])
def test_every_edge_of_a_special_block(block: str, inside: str, before: str, after: str) -> None:
    network = ip_network(block)
    first, last = network.network_address, network.broadcast_address
    assert [is_global(first), is_global(last)] == [expected(inside)] * 2
    for word, neighbour in ((before, int(first) - 1), (after, int(last) + 1)):
        if (wanted := expected(word)) is not None:
            assert is_global(type(first)(neighbour)) is wanted, type(first)(neighbour)


@pytest.mark.parametrize(
    "host", ["fec0::1", "64:ff9b:1::a00:1", "::10.0.0.1", "192.0.0.8", "192.88.99.1", "3fff::1", "5f00::1"]
)
def test_what_led_into_private_networks_is_closed_unless_it_is_allowed(host: str) -> None:
    assert not is_open(host)
    assert is_open(host, networks([f"{host}/{ip_address(host).max_prefixlen}"]))


@given(st.integers(0, (1 << 32) - 1))
def test_what_carries_an_ipv4_address_is_judged_by_it(number: int) -> None:
    inside = is_global(IPv4Address(number))
    for forms in (0xFFFF << 32, 0x64_FF9B << 96):
        assert is_global(IPv6Address(forms | number)) is inside
    assert is_global(IPv6Address(0x2002 << 112 | number << 80 | 7)) is inside


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_the_python_that_runs_never_calls_an_address_private_that_is_global_here(
    address: IPv4Address | IPv6Address,
) -> None:
    if is_global(address) and unmapped(address) == address and address not in ip_network("2002::/16"):
        doubts = [address.is_loopback, address.is_link_local, address.is_multicast, address.is_unspecified]
        assert not any(doubts)


def test_only_mapped_addresses_are_unmapped() -> None:
    assert unmapped(ip_address("::ffff:127.0.0.1")) == ip_address("127.0.0.1")
    for host in ("::127.0.0.1", "64:ff9b::7f00:1", "::fffe:7f00:1", "127.0.0.1", "0:0:0:0:1:ffff:7f00:1"):
        assert unmapped(ip_address(host)) == ip_address(host)


def test_nobody_asks_the_python_version_what_is_global() -> None:
    words = [".is_global", ".is_private", ".is_reserved", ".is_site_local", ".sixtofour", ".teredo"]
    files = [path for package in ("trickles", "trickleweb") for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 300
    assert [(path.name, word) for path in files for word in words if word in path.read_text("utf-8")] == []
