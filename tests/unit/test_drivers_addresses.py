"""Addresses: one text for one place, and back to what the socket takes; buffers: cut and joined without loss."""

import ipaddress
import itertools
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.drivers.addresses import SocketAddress, plain_address, socket_address
from trickles.drivers.batch import MAX_PAYLOAD_BYTES, MAX_SEGMENTS, cut, joined, segmenting

PORTS = st.integers(0, 65_535)
MAPPED = bytes(10) + b"\xff\xff"


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (("192.0.2.7", 80), ("192.0.2.7", 80)),
        (("::ffff:192.0.2.7", 80, 0, 0), ("192.0.2.7", 80)),
        (("2001:db8::7", 443, 5, 0), ("2001:db8::7", 443)),
        (("fe80::7", 443, 0, 2), ("fe80::7%2", 443)),
        (("::ffff:1", 1, 0, 0), ("::ffff:1", 1)),
    ],
)
def test_an_address_is_one_text_whatever_the_socket(raw: SocketAddress, plain: tuple[str, int]) -> None:
    assert plain_address(raw) == plain


def test_an_interface_may_be_named_or_numbered() -> None:
    index, name = socket.if_nameindex()[0]
    assert socket_address(socket.AF_INET6, (f"fe80::1%{name}", 5)) == ("fe80::1", 5, 0, index)
    assert socket_address(socket.AF_INET6, (f"fe80::1%{index}", 5)) == ("fe80::1", 5, 0, index)
    with pytest.raises(ValueError, match="interface"):
        socket_address(socket.AF_INET6, ("fe80::1%no-such-one", 5))


@pytest.mark.slow
@given(st.ip_addresses(v=4).map(str), PORTS)
def test_ipv4_comes_back_as_it_went_through_both_families(host: str, port: int) -> None:
    assert plain_address(socket_address(socket.AF_INET, (host, port))) == (host, port)
    assert plain_address(socket_address(socket.AF_INET6, (host, port))) == (host, port)


@given(st.binary(min_size=16, max_size=16).filter(lambda packed: packed[:12] != MAPPED), PORTS, st.integers(0, 9))
def test_ipv6_comes_back_as_it_went(packed: bytes, port: int, scope: int) -> None:
    host = socket.inet_ntop(socket.AF_INET6, packed) + (f"%{scope}" if scope else "")
    assert plain_address(socket_address(socket.AF_INET6, (host, port))) == (host, port)


@pytest.mark.slow
@given(st.text(max_size=20), st.integers(-10, 70_000), st.sampled_from([socket.AF_INET, socket.AF_INET6]))
def test_any_text_is_an_address_or_a_value_error(host: str, port: int, family: int) -> None:
    try:
        target = socket_address(family, (host, port))
    except ValueError:
        return
    assert ipaddress.ip_address(target[0]).version == (4 if family == socket.AF_INET else 6)
    assert target[1] == port


@given(st.binary(max_size=300), st.integers(1, 320), st.lists(st.integers(0, 300)))
def test_joining_then_cutting_gives_the_datagrams(payload: bytes, segment_bytes: int, marks: list[int]) -> None:
    edges = [0, *sorted(min(mark, len(payload)) for mark in marks), len(payload)]
    whole = joined([memoryview(payload)[a:b] for a, b in itertools.pairwise(edges)])
    datagrams = [bytes(datagram) for datagram in cut(whole, segment_bytes)]
    assert b"".join(datagrams) == payload
    assert all(len(datagram) == segment_bytes for datagram in datagrams[:-1])
    assert all(datagrams) or not payload


@given(st.integers(1, MAX_PAYLOAD_BYTES))
def test_a_call_carries_whole_segments_within_the_kernels_bounds(segment_bytes: int) -> None:
    call_bytes, _ = segmenting(segment_bytes)
    segments, rest = divmod(call_bytes, segment_bytes)
    assert rest == 0
    assert 1 <= segments <= MAX_SEGMENTS
    assert call_bytes <= MAX_PAYLOAD_BYTES
    assert segments == MAX_SEGMENTS or call_bytes + segment_bytes > MAX_PAYLOAD_BYTES
