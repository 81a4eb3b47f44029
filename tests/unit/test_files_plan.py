"""Plans in a continuation: small, the same for equal plans, and refused where they are not ours."""

import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.errors import UnsafeHeader
from trickleweb.files.digests import content_name, parse_content_name, strong_etag
from trickleweb.files.errors import BadContentName
from trickleweb.headers import Headers
from trickleweb.messages import Inline, Piece, Plan, Slice
from trickleweb.server.fixed import clip
from trickleweb.server.tokens.plan import BadPlan, FieldReader, PlanTooLarge, decode_plan, encode_plan, put_varint

DIGEST = bytes(range(20))
CONTENT = content_name(DIGEST, "assets/video.mp4")
COMMON = Plan(
    206,
    Headers(
        (
            ("Content-Type", "video/mp4"),
            ("Content-Range", "bytes 1000000-1999999/300000000"),
            ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("ETag", strong_etag(DIGEST)),
            ("Cache-Control", "public, max-age=31536000, immutable"),
            ("Accept-Ranges", "bytes"),
            ("X-Content-Type-Options", "nosniff"),
        )
    ),
    (Slice(CONTENT, 1_000_000, 2_000_000),),
)


def _is_file_name(text: str) -> bool:
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == text
    except UnicodeEncodeError:
        return False


LATIN1 = st.text(st.characters(max_codepoint=255), max_size=12)
NAMES = st.one_of(st.sampled_from(["Content-Type", "ETag", "X-Own", "Vary"]), LATIN1)
VALUES = st.one_of(st.sampled_from(["nosniff", "Accept", "bytes"]), LATIN1)
PATHS = st.text(st.characters(exclude_categories=()), max_size=8).filter(_is_file_name)
OFFSETS = st.integers(0, 2**40)
SLICES = st.builds(
    lambda content, start, size: Slice(content, start, start + size),
    st.sampled_from([CONTENT, "b"]) | PATHS,
    OFFSETS,
    OFFSETS,
)
PIECES = st.one_of(st.builds(Inline, st.binary(max_size=20)), SLICES)
PLANS = st.builds(
    lambda status, pairs, pieces: Plan(status, Headers(tuple(pairs)), tuple(pieces)),
    st.integers(200, 599), st.lists(st.tuples(NAMES, VALUES), max_size=6), st.lists(PIECES, max_size=6),
)  # fmt: skip


@pytest.mark.slow
@given(PLANS)
def test_a_plan_survives_the_journey(plan: Plan) -> None:
    assert decode_plan(encode_plan(plan, 10_000)) == plan


@pytest.mark.slow
@given(PLANS)
def test_so_does_a_deflated_one(plan: Plan) -> None:
    long = Plan(plan.status, plan.headers, (*plan.pieces, Inline(b"x" * 2000)))
    packed = encode_plan(long, 1000)
    assert packed[0] == 2
    assert decode_plan(packed) == long


@given(st.binary(max_size=60))
def test_bytes_are_a_plan_in_one_way_or_none(data: bytes) -> None:
    try:
        plan = decode_plan(data)
    except BadPlan:
        return
    assert data[0] == 2 or encode_plan(plan, 10_000) == data


def test_every_cut_and_every_flip_is_refused_or_another_plan() -> None:
    data = encode_plan(COMMON)
    for end in range(len(data)):
        with pytest.raises(BadPlan):
            decode_plan(data[:end])
    for at in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        try:
            assert decode_plan(bytes(flipped)) != COMMON
        except BadPlan:
            continue


def test_the_common_case_is_small() -> None:
    assert len(encode_plan(COMMON)) < 200


def test_sixteen_ranges_fit() -> None:
    delimiter = (
        b"\r\n--part-AAECAwQFBgcICQoLDA0ODxAREhM\r\nContent-Type: video/mp4\r\nContent-Range: bytes %d-%d/9\r\n\r\n"
    )
    pieces: list[Piece] = []
    for at in range(16):
        start = at * 7_777_777
        pieces += [Inline(delimiter % (start, start + 99)), Slice(CONTENT, start, start + 100)]
    plan = Plan(206, COMMON.headers, tuple(pieces))
    assert decode_plan(encode_plan(plan)) == plan


def test_a_plan_that_does_not_fit_names_the_way_out() -> None:
    noise = b"".join(sha256(bytes((at,))).digest() for at in range(20))
    with pytest.raises(PlanTooLarge, match="repeat the request"):
        encode_plan(Plan(200, Headers(), (Inline(noise),)))
    with pytest.raises(PlanTooLarge):
        encode_plan(Plan(200, Headers(), (Inline(b"x" * 1_000_000),)))
    with pytest.raises(PlanTooLarge):
        encode_plan(COMMON, 50)


def test_a_header_that_http_cannot_carry_is_refused() -> None:
    with pytest.raises(UnsafeHeader):
        encode_plan(Plan(200, Headers((("X-Price", "5 \u20ac"),))))


def deflated(data: bytes) -> bytes:
    return b"\x02" + zlib.compress(data, wbits=-15)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x03\xc8\x01\x00\x00",
        b"\x01",
        b"\x01\x05\x00\x00",  # status 5
        b"\x01\xc8\x01\x00\x00\x00",  # more than a plan
        b"\x01\xc8\x81\x00\x00\x00",  # an integer with a zero too many
        b"\x01\xc8\x01\x00\xff\xff\xff\xff\x7f",  # billions of pieces
        b"\x01\xc8\x01\x01\x3f\x00\x00",  # an unknown header
        b"\x01\xc8\x01\x01\x00\x04ETag\x00\x00",  # a known name spelt out
        b"\x01\xc8\x01\x01\x0a\x06Accept\x00",  # a known field spelt out
        b"\x01\xc8\x01\x00\x01\x02\x00\x00",  # the same content as none
        b"\x01\xc8\x01\x00\x01\x03\x00\x00",  # an unknown kind
        b"\x01\xc8\x01\x00\x02\x01\x01a\x00\x01\x01\x01a\x00\x01",  # the same content twice
        b"\x01" + b"\xff" * 10,
        b"\x02",
        b"\x02\xff",
        deflated(b"\xc8\x01\x00\x00") + b"x",
        deflated(b"\xc8\x01\x00\x00")[:-1],
        deflated(b"\xc8\x01\x00\x01\x00" + b"\x00" * 1_000_000),
    ],
)
def test_what_is_no_plan_is_refused(data: bytes) -> None:
    with pytest.raises(BadPlan):
        decode_plan(data)


def test_integers_up_to_63_bits() -> None:
    for number in (0, 1, 127, 128, 2**32, 2**63 - 1):
        out = bytearray()
        put_varint(out, number)
        assert FieldReader(bytes(out)).varint() == number


@given(st.lists(PIECES, max_size=6), st.integers(0, 200), st.integers(0, 200))
def test_a_clip_is_the_same_bytes(pieces: list[Piece], start: int, stop: int) -> None:
    whole = [byte for piece in pieces for byte in _bytes(piece, 200)]
    clipped = list(clip(pieces, start, min(stop, len(whole))))
    assert [byte for piece in clipped for byte in _bytes(piece, 200)] == whole[start : min(stop, len(whole))]
    assert all(piece.byte_count for piece in clipped)


def _bytes(piece: Piece, most: int) -> list[object]:
    if isinstance(piece, Inline):
        return list(piece.data)
    return [(piece.content, at) for at in range(piece.start, min(piece.stop, piece.start + most))]


@pytest.mark.parametrize(
    "name", ["", ":", "x:path", "A" * 27, "A" * 26 + "!:p", "A" * 26 + "B:p", "A" * 28 + ":p", "\u0661" * 27 + ":p"]
)
def test_what_names_no_content(name: str) -> None:
    with pytest.raises(BadContentName):
        parse_content_name(name)


@given(st.binary(min_size=20, max_size=20), st.text(max_size=20))
def test_content_names_are_taken_apart_again(digest: bytes, path: str) -> None:
    assert parse_content_name(content_name(digest, path)) == (digest, path)


def test_each_coding_has_its_own_tag() -> None:
    assert strong_etag(DIGEST) == '"AAECAwQFBgcICQoLDA0ODxAREhM"'
    assert strong_etag(DIGEST, "br") == '"AAECAwQFBgcICQoLDA0ODxAREhM-br"'
