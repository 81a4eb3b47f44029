"""The protocols in a ClientHello: real ones, whole and cut anywhere and in many records, and every kind of noise."""

import ssl

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers

from trickles.errors import BadPacket
from trickles.gateway.clienthello import protocols_untrusted


def hello(*protocols: str, least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> bytes:
    """What OpenSSL says first."""
    context = ssl.create_default_context()
    context.minimum_version = least
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="example.test").do_handshake()
    return outgoing.read()


def in_records(record: bytes, size: int) -> bytes:
    """The same message in records of at most `size` bytes (RFC 8446 5.1)."""
    message = record[5:]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(record[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


@pytest.mark.parametrize("least", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("protocols", [(), ("h2",), ("h2", "http/1.1"), ("x" * 255, "y")])
def test_the_protocols_that_openssl_offers(protocols: tuple[str, ...], least: ssl.TLSVersion) -> None:
    data = hello(*protocols, least=least)
    names = tuple(name.encode() for name in protocols)
    assert protocols_untrusted(data) == names
    assert protocols_untrusted(bytearray(data) + b"what follows") == names
    for size in (1, 7, 100):
        assert protocols_untrusted(in_records(data, size)) == names
    for cut in range(len(data)):
        assert protocols_untrusted(data[:cut]) is None


@pytest.mark.slow
@given(binary(max_size=200))
def test_noise_is_refused_or_waited_for(data: bytes) -> None:
    for noise in (data, b"\x16\x03\x01" + data, hello("h2")[:60] + data):
        try:
            found = protocols_untrusted(noise)
        except BadPacket:
            continue
        assert found is None or isinstance(found, tuple)


@pytest.mark.slow
@given(integers(5, 400), integers(0, 255))
def test_one_wrong_byte_is_refused_waited_for_or_harmless(at: int, value: int) -> None:
    data = bytearray(hello("h2"))
    data[at % len(data)] = value
    try:
        found = protocols_untrusted(data)
    except BadPacket:
        return
    assert found is None or all(isinstance(each, bytes) for each in found)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"]
)
def test_what_is_no_hello_is_left_to_openssl(data: bytes) -> None:
    with pytest.raises(BadPacket):
        protocols_untrusted(data)
