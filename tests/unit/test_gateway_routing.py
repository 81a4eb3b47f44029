"""How a host finds its fleet, and which hosts nobody finds."""

import pytest

from trickles.errors import BadPacket, LocalProtocolError
from trickles.gateway.routing import (
    FleetSpec,
    RouteTable,
    authority_untrusted,
    host_untrusted,
    is_open,
    networks,
    parsed_entry,
    parsed_map,
    specs,
)

MAP = """
# the fleets
example.org = 192.0.2.1:8443, 192.0.2.2:8443
example.org:81 = r:1
*.example.org=r:2;key=server.pub
*.www.example.org:81=r:3
[2001:DB8::0:1]:80=r:4
192.0.2.7=r:5
"""


def test_entries_name_a_host_its_replicas_and_a_key() -> None:
    entries = specs(parsed_map(MAP))
    assert entries[("example.org", None)] == FleetSpec(("192.0.2.1:8443", "192.0.2.2:8443"))
    assert entries[("*.example.org", None)] == FleetSpec(("r:2",), "server.pub")
    assert ("2001:db8::1", 80) in entries
    assert len(entries) == 6


@pytest.mark.parametrize(
    ("host", "port", "fleet"),
    [
        ("example.org", 80, "192.0.2.1:8443"),
        ("example.org", 81, "r:1"),
        ("a.example.org", 81, "r:2"),
        ("a.b.example.org", 80, "r:2"),
        ("a.www.example.org", 81, "r:3"),
        ("a.www.example.org", 80, "r:2"),
        ("2001:db8::1", 80, "r:4"),
        ("2001:db8::1", 81, None),
        ("192.0.2.7", 1, "r:5"),
        ("badexample.org", 80, None),
        ("org", 80, None),
    ],
)
def test_the_closest_entry_decides(host: str, port: int, fleet: str | None) -> None:
    entries = specs(parsed_map(MAP))
    found = RouteTable(entries).find(host, port)
    assert (found.replicas[0] if found else None) == fleet
    everywhere = RouteTable(specs([*parsed_map(MAP), "*=rest:1"])).find(host, port)
    assert everywhere == (found or FleetSpec(("rest:1",)))


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "example.org",
        "=r:1",
        "h=",
        "h=r:1,",
        "h=r:1;key=",
        "h=r:1;lock=x",
        "h=r:1;",
        "a b=r:1",
        "*:80=r:1",
        "*.=r:1",
        "h:0=r",
        "h:x=r",
    ],
)
def test_what_is_no_entry(entry: str) -> None:
    with pytest.raises(LocalProtocolError, match="not "):
        parsed_entry(entry)


def test_one_host_has_one_entry() -> None:
    with pytest.raises(LocalProtocolError, match=r"two entries for one host: 'EXAMPLE\.org\.=r:2'"):
        specs(["example.org=r:1", "EXAMPLE.org.=r:2"])


@pytest.mark.parametrize(
    "text", [b"", b".", b"a..b", b"-a", b"a/b", b"a b", b"a\0b", b"\xff", b"::g", b"a" * 254, b"a@b", b"a%41"]
)
def test_what_is_no_host(text: bytes) -> None:
    with pytest.raises(BadPacket):
        host_untrusted(text)


@pytest.mark.parametrize(
    "text", [b"h", b"h:", b":1", b"h:0", b"h:65536", b"h:1:2", b"[h]:1", b"[::1]", b"::1:80", b"h:-1", b"[::1]x:1"]
)
def test_what_is_no_authority(text: bytes) -> None:
    with pytest.raises(BadPacket):
        authority_untrusted(text, None)


@pytest.mark.parametrize(
    ("host", "reachable"),
    [
        ("93.184.215.14", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d70e", True),
        ("2002:7f00:1::", False),
        ("2002:a00:1::1", False),
    ],
)
def test_only_addresses_of_the_internet_at_large_are_open(host: str, reachable: bool) -> None:
    assert is_open(host) is reachable
    assert is_open(host, networks(["0.0.0.0/0", "::/0"]))
