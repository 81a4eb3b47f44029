"""Responses, refusals, hellos, pieces and addresses that lie: each is read as what it is, or a BadPacket."""

import pytest

from trickles.errors import BadPacket
from trickles.service import Refusal
from trickles.trickle import Episode
from trickles.wire.hello import (
    INSIDE_BYTES,
    Hello,
    HelloInside,
    parse_hello_untrusted,
    parse_inside_untrusted,
)
from trickles.wire.kinds import Burst, Kind, ResponseFlag, Suite, address_bytes
from trickles.wire.piece import parse_piece_untrusted, parse_receipt_untrusted, piece_body
from trickles.wire.refusal import parse_refusal_untrusted, refusal_header
from trickles.wire.response import HEADER, TransportFrame, UserFrame, parse_frames_untrusted

BOTH = ResponseFlag.TRANSPORT | ResponseFlag.USER
TRANSPORT = TransportFrame(Episode(9, 10, 11), False, bytes(range(128)))
USER = UserFrame(0, 400_000, 4, b"u" * 65)
CLEAR = HEADER.pack(Kind.RESPONSE, BOTH, 1, bytes(8), 2, 3, 4) + TRANSPORT.encode() + USER.encode()


def test_frames_cut_anywhere_are_a_bad_packet() -> None:
    assert parse_frames_untrusted(CLEAR, BOTH).data_at == len(CLEAR)
    for length in range(32, len(CLEAR)):
        with pytest.raises(BadPacket):
            parse_frames_untrusted(CLEAR[:length], BOTH)


def test_a_frame_that_claims_more_bytes_than_there_are_is_a_bad_packet() -> None:
    lying = CLEAR[: -len(USER.blob) - 2] + (len(USER.blob) + 1).to_bytes(2, "big") + USER.blob
    with pytest.raises(BadPacket):
        parse_frames_untrusted(lying, BOTH)


@pytest.mark.parametrize(("at", "value"), [(12, 0), (12, 77), (13, 2), (13, 255)], ids=["law 0", "law 77", "2", "255"])
def test_unknown_laws_and_marks_in_a_transport_frame_are_a_bad_packet(at: int, value: int) -> None:
    frame = bytearray(CLEAR)
    frame[32 + at] = value
    with pytest.raises(BadPacket):
        parse_frames_untrusted(bytes(frame), BOTH)


def test_the_name_of_the_connection_leads_the_continuation() -> None:
    assert TRANSPORT.connection == bytes(range(8))


@pytest.mark.parametrize("code", [0, 12, 99, 255])
def test_an_unknown_refusal_is_a_bad_packet(code: int) -> None:
    clear = HEADER.pack(Kind.REFUSAL, code, 1, bytes(8), 1, 0, 0)
    with pytest.raises(BadPacket):
        parse_refusal_untrusted(clear + bytes(16))


def test_only_the_hint_about_an_epoch_comes_without_a_tag() -> None:
    for code in Refusal:
        clear = refusal_header(code, 5, bytes(8))
        if code is Refusal.EPOCH:
            assert parse_refusal_untrusted(clear).tag == b""
            continue
        with pytest.raises(BadPacket):
            parse_refusal_untrusted(clear)


def test_a_refusal_has_one_of_three_lengths() -> None:
    whole = refusal_header(Refusal.EXPIRED, 5, bytes(8)) + TRANSPORT.encode() + bytes(16)
    good = [length for length in range(len(whole) + 1) if _is_refusal(whole[:length])]
    assert good == [48, 190]


def _is_refusal(datagram: bytes) -> bool:
    try:
        parse_refusal_untrusted(datagram)
    except BadPacket:
        return False
    return True


def test_a_hello_shorter_than_the_least_is_a_bad_packet() -> None:
    datagram = Hello(Suite.SEALED, 1, bytes(24), bytes(1170)).encode()
    assert parse_hello_untrusted(datagram, 1200).sealed == bytes(1170)
    for length in range(len(datagram)):
        with pytest.raises(BadPacket):
            parse_hello_untrusted(datagram[:length], 1200)
    for length in range(30):
        with pytest.raises(BadPacket):
            parse_hello_untrusted(datagram[:length], 0)


@pytest.mark.parametrize("suite", [0, 3, 255])
def test_an_unknown_suite_is_a_bad_packet(suite: int) -> None:
    with pytest.raises(BadPacket):
        parse_hello_untrusted(bytes([Kind.HELLO, suite]) + bytes(1198), 1200)


def test_the_inside_of_a_hello_that_lies_is_a_bad_packet() -> None:
    whole = HelloInside(bytes(32), 1200, True, 5, b"input").encode(0)
    for length in range(len(whole)):
        with pytest.raises(BadPacket):
            parse_inside_untrusted(whole[:length])
    for flags in (2, 3, 128):
        with pytest.raises(BadPacket):
            parse_inside_untrusted(whole[:34] + bytes([flags]) + whole[35:])
    assert INSIDE_BYTES == 41


def test_a_piece_is_never_empty_nor_beyond_the_end_of_any_stream() -> None:
    for body in (b"", bytes(9), bytes(51), piece_body(0, b""), piece_body(1 << 63, b"x"), piece_body(0, b"abc")[:12]):
        with pytest.raises(BadPacket):
            parse_piece_untrusted(body)
    for length in (0, 55, 57, 1200):
        with pytest.raises(BadPacket):
            parse_receipt_untrusted(bytes(length))


def test_a_burst_is_cut_into_its_datagrams() -> None:
    burst = Burst(("192.0.2.1", 1), 4, [b"ab", memoryview(b"cd"), bytearray(b"efgh"), b"i"])
    assert burst.datagrams() == [b"abcd", b"efgh", b"i"]


@pytest.mark.parametrize(
    ("host", "packed"),
    [
        ("192.0.2.1", "00000000000000000000ffffc0000201"),
        ("::ffff:192.0.2.1", "00000000000000000000ffffc0000201"),
        ("2001:db8::1", "20010db8000000000000000000000001"),
        ("fe80::1%eth0", "fe800000000000000000000000000001"),
    ],
)
def test_addresses_of_both_families_take_16_bytes(host: str, packed: str) -> None:
    assert address_bytes(host).hex() == packed
