"""Request bodies that lie: cut short, counts that do not fit, ranges out of order, numbers at the end of a field."""

import struct

import pytest

from trickles.errors import BadPacket
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import BODY_FIXED_BYTES, RequestBody, parse_body_untrusted, split_untrusted

FULL = RequestBody(
    RequestFlag.INPUT | RequestFlag.PROBE,
    1200,
    10,
    20,
    0,
    ((5, 9, 111), (12, 30, 222)),
    ((0, 1000), (5000, 6000)),
    b"user continuation" * 4,
    77,
    b"input" * 5,
)
FIXED = struct.Struct(">BHIIIBBHH")
RUN = struct.Struct(">IIQ")


def fixed(
    *, flags: int = 0, lo: int = 0, hi: int = 0, runs: int = 0, wants: int = 0, user: int = 0, given: int = 0
) -> bytes:
    return FIXED.pack(flags, 1200, lo, hi, 0, runs, wants, user, given)


def test_the_fixed_part_is_as_documented() -> None:
    assert FIXED.size == BODY_FIXED_BYTES == 21
    assert parse_body_untrusted(fixed()) == RequestBody(0, 1200, 0, 0)


def test_cut_anywhere_it_is_a_bad_packet() -> None:
    whole = FULL.encode()
    assert parse_body_untrusted(whole) == FULL
    for length in range(len(whole)):
        with pytest.raises(BadPacket):
            parse_body_untrusted(whole[:length])


def test_any_flipped_bit_is_a_bad_packet_or_another_request() -> None:
    whole = FULL.encode()
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        try:
            found = parse_body_untrusted(bytes(flipped))
        except BadPacket:
            continue
        assert found != FULL


@pytest.mark.parametrize(
    "body",
    [
        fixed(runs=255),
        fixed(wants=255),
        fixed(user=65_535),
        fixed(flags=RequestFlag.INPUT, given=65_535) + bytes(8),
        fixed(flags=RequestFlag.INPUT),
        fixed(given=5) + bytes(5),
        fixed(runs=255, wants=255, user=65_535, given=65_535) + bytes(1000),
    ],
    ids=["runs", "wants", "user", "input", "no offset", "input without its flag", "everything"],
)
def test_counts_larger_than_the_datagram_are_a_bad_packet(body: bytes) -> None:
    with pytest.raises(BadPacket):
        parse_body_untrusted(body)


@pytest.mark.parametrize(
    "runs",
    [
        [(5, 5)],
        [(5, 4)],
        [(0, 5), (5, 9)],  # neighbours are one run
        [(0, 5), (3, 9)],
        [(7, 9), (0, 5)],
        [(0, 5), (0, 5)],
        [((1 << 32) - 1, 0)],
    ],
    ids=str,
)
def test_runs_out_of_order_are_a_bad_packet(runs: list[tuple[int, int]]) -> None:
    body = fixed(runs=len(runs)) + b"".join(RUN.pack(start, stop, 0) for start, stop in runs)
    with pytest.raises(BadPacket):
        parse_body_untrusted(body)


@pytest.mark.parametrize(("lo", "hi", "good"), [(0, 5, True), (5, 5, True), (9, 9, True), (0, 6, False), (5, 4, False)])
def test_nobody_speaks_for_more_than_is_proved(lo: int, hi: int, good: bool) -> None:
    body = fixed(lo=lo, hi=hi, runs=1) + RUN.pack(0, 5, 0)
    if good:
        assert parse_body_untrusted(body).hi == hi
        return
    with pytest.raises(BadPacket):
        parse_body_untrusted(body)


def test_nobody_speaks_without_proof() -> None:
    with pytest.raises(BadPacket):
        parse_body_untrusted(fixed(lo=0, hi=1))


@pytest.mark.parametrize(
    "body",
    [
        RequestBody(0, 1200, 0, 0, wants=(((1 << 64) - 1, (1 << 64) + 5),)),
        RequestBody(RequestFlag.INPUT, 1200, 0, 0, input_offset=(1 << 64) - 2, input=b"abcd"),
    ],
    ids=["want", "input"],
)
def test_offsets_beyond_any_stream_are_a_bad_packet(body: RequestBody) -> None:
    with pytest.raises(BadPacket):
        parse_body_untrusted(body.encode())


def test_a_datagram_shorter_than_any_request_is_not_taken_apart() -> None:
    for length in range(200):
        with pytest.raises(BadPacket):
            split_untrusted(bytes(length))
    header, blob, number = split_untrusted(bytes([0x15]) + b"b" * 128 + (513).to_bytes(4, "big") + bytes(67))
    assert (len(header), blob, number) == (133, b"b" * 128, 513)
