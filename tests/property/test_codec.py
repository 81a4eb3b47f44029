"""Codecs: parsing undoes encoding, and any other bytes are a BadPacket or read back as themselves."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.errors import BadPacket
from trickles.limits import MILLISECOND
from trickles.service import MOST_HEARTBEAT_BYTES, Heartbeat, Refusal
from trickles.session import SessionKeys
from trickles.trickle import Episode
from trickles.wire.hello import (
    CERTIFICATE_BYTES,
    COOKIE_BYTES,
    Certificate,
    Hello,
    HelloInside,
    parse_certificate_untrusted,
    parse_hello_untrusted,
    parse_inside_untrusted,
)
from trickles.wire.kinds import Kind, RequestFlag, ResponseFlag, Suite
from trickles.wire.piece import (
    Receipt,
    commit_body,
    parse_commit_untrusted,
    parse_piece_untrusted,
    parse_receipt_untrusted,
    piece_body,
)
from trickles.wire.refusal import heartbeat_frame, parse_refusal_untrusted, refusal_header
from trickles.wire.request import RequestBody, parse_body_untrusted, request_header, split_untrusted
from trickles.wire.response import HEADER, Frames, TransportFrame, UserFrame, parse_frames_untrusted
from trickles.wire.transport import decode_untrusted


def whole(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1)


def fixed(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


RUNS = st.lists(st.integers(0, 1 << 31), unique=True, max_size=20).map(
    lambda bounds: tuple(pair for pair in list(pairwise(sorted(bounds)))[::2])
)
WANTS = st.lists(st.tuples(st.integers(0, 1 << 60), whole(32)).map(lambda pair: (pair[0], sum(pair))), max_size=6)


@st.composite
def bodies(draw: st.DrawFn) -> RequestBody:
    runs = tuple((start, stop, draw(whole(64))) for start, stop in draw(RUNS))
    lo, hi = sorted(draw(st.tuples(*[st.integers(0, runs[-1][1])] * 2))) if runs else (7, 7)
    brings = draw(st.booleans())
    return RequestBody(
        draw(whole(8)) & ~RequestFlag.INPUT | (RequestFlag.INPUT if brings else 0),
        draw(whole(16)),
        lo,
        hi,
        draw(whole(32)),
        runs,
        tuple(draw(WANTS)),
        draw(st.binary(max_size=800)),
        draw(st.integers(0, 1 << 60)) if brings else 0,
        draw(st.binary(max_size=300)) if brings else b"",
    )


@pytest.mark.slow
@given(bodies())
def test_a_request_body_reads_back(body: RequestBody) -> None:
    assert parse_body_untrusted(body.encode()) == body


@given(st.sampled_from(Suite), bodies(), fixed(128), whole(32))
def test_a_whole_request_reads_back_and_is_at_least_as_long_as_any_refusal(
    suite: Suite, body: RequestBody, blob: bytes, number: int
) -> None:
    session = SessionKeys(bytes(32), suite)
    datagram = session.seal_request(request_header(Kind.REQUEST, blob, number), body.encode())
    header, found, request = split_untrusted(datagram)
    assert (len(datagram) >= 200, header[0], found, request) == (True, Kind.REQUEST, blob, number)
    assert parse_body_untrusted(session.open_request_untrusted(header, datagram)) == body


EPISODES = st.builds(Episode, whole(32), whole(32), whole(32), st.just(1))
TRANSPORT = st.builds(TransportFrame, EPISODES, st.booleans(), fixed(128))
BLOBS = st.binary(max_size=800)
USER = st.builds(UserFrame, whole(64), st.none(), whole(64), BLOBS, st.just(False)) | st.builds(
    UserFrame, whole(64), whole(62), whole(64), BLOBS, st.booleans()
)


@given(whole(16), fixed(8), whole(32), whole(64), whole(64), st.none() | TRANSPORT, st.none() | USER, st.binary())
def test_a_response_reads_back(
    request: int,
    salt: bytes,
    number: int,
    nonce: int,
    offset: int,
    transport: TransportFrame | None,
    user: UserFrame | None,
    data: bytes,
) -> None:
    flags = (ResponseFlag.TRANSPORT if transport else 0) | (ResponseFlag.USER if user else 0)
    clear = HEADER.pack(Kind.RESPONSE, flags, request, salt, number, nonce, offset)
    clear += (transport.encode() if transport else b"") + (user.encode() if user else b"")
    assert parse_frames_untrusted(clear + data, flags) == Frames(transport, user, len(clear))
    assert parse_frames_untrusted(memoryview(clear + data), flags) == Frames(transport, user, len(clear))
    assert HEADER.unpack_from(clear) == (Kind.RESPONSE, flags, request, salt, number, nonce, offset)


@given(st.sampled_from(Refusal), whole(32), fixed(8), st.none() | TRANSPORT, fixed(16))
def test_a_refusal_reads_back(
    code: Refusal, request: int, salt: bytes, transport: TransportFrame | None, tag: bytes
) -> None:
    clear = refusal_header(code, request, salt) + (transport.encode() if transport else b"")
    head = parse_refusal_untrusted(clear + tag)
    assert (head.code, head.request, head.transport, head.clear, head.tag) == (code, request, transport, clear, tag)


@given(whole(32), fixed(8), st.binary(min_size=1, max_size=MOST_HEARTBEAT_BYTES), whole(32), fixed(16))
def test_a_heartbeat_reads_back(request: int, salt: bytes, data: bytes, distance_ms: int, tag: bytes) -> None:
    beat = Heartbeat(data, max(distance_ms, 1) * MILLISECOND, salt)
    clear = refusal_header(Refusal.WORKING, request, salt, 7, 9) + heartbeat_frame(beat)
    head = parse_refusal_untrusted(clear + tag)
    assert (head.heartbeat, head.transport, head.clear, head.tag) == (beat, None, clear, tag)


@given(st.sampled_from(Suite), whole(32), fixed(COOKIE_BYTES), st.binary(max_size=99))
def test_a_hello_reads_back(suite: Suite, epoch: int, cookie: bytes, sealed: bytes) -> None:
    hello = Hello(suite, epoch, cookie, sealed)
    assert parse_hello_untrusted(hello.encode(), 0) == hello


@given(fixed(32), whole(16), st.booleans(), whole(32), st.binary(max_size=99), st.integers(0, 300))
def test_the_inside_of_a_hello_reads_back(
    secret: bytes, size: int, ends: bool, wanted: int, data: bytes, total: int
) -> None:
    inside = HelloInside(secret, size, ends, wanted, data)
    assert parse_inside_untrusted(inside.encode(total)) == inside
    assert len(inside.encode(total)) >= total


@given(whole(32), whole(64), whole(64), fixed(32), fixed(32), fixed(64))
def test_a_certificate_reads_back(
    epoch: int, since: int, until: int, key: bytes, identity: bytes, signature: bytes
) -> None:
    certificate = Certificate(epoch, since, until, key, identity, signature)
    assert len(certificate.encode()) == CERTIFICATE_BYTES
    assert parse_certificate_untrusted(certificate.encode()) == certificate


@given(st.integers(0, (1 << 63) - 1), st.binary(min_size=1, max_size=1400))
def test_a_piece_reads_back(offset: int, data: bytes) -> None:
    assert parse_piece_untrusted(piece_body(offset, data)) == (offset, data)


@given(whole(32), whole(64), whole(64), whole(64), fixed(8), fixed(16))
def test_a_receipt_and_a_commit_read_back(
    request: int, start: int, stop: int, proof: int, salt: bytes, tag: bytes
) -> None:
    clear = Receipt(request, start, stop, proof).clear(salt)
    assert parse_receipt_untrusted(clear + tag) == (Receipt(request, start, stop, proof), clear, tag)
    assert parse_commit_untrusted(commit_body(start, stop, proof)) == (start, stop, proof)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "request body": parse_body_untrusted,
    "request": split_untrusted,
    "frames": lambda data: parse_frames_untrusted(data, data[1] if len(data) > 1 else 3),
    "refusal": parse_refusal_untrusted,
    "hello": lambda data: parse_hello_untrusted(data, 0),
    "inside": parse_inside_untrusted,
    "certificate": parse_certificate_untrusted,
    "piece": parse_piece_untrusted,
    "receipt": parse_receipt_untrusted,
    "commit": parse_commit_untrusted,
    "transport state": decode_untrusted,
}


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.binary(max_size=300) | st.binary(min_size=88, max_size=88) | st.binary(min_size=148, max_size=148))
def test_no_bytes_raise_anything_but_bad_packet(name: str, data: bytes) -> None:
    try:
        PARSERS[name](data)
    except BadPacket:
        return


@given(st.binary(max_size=400))
def test_what_reads_as_a_request_body_can_be_said_again(data: bytes) -> None:
    try:
        body = parse_body_untrusted(data)
    except BadPacket:
        return
    assert parse_body_untrusted(body.encode()) == body
