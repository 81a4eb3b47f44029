"""Laws of the HTTP/1.1 layer: inverses, independence of how input is cut, and agreement with h11 as a peer."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.outcomes import outcome
from trickleweb.errors import HTTPError, UnsafeHeader
from trickleweb.headers import Headers, format_date, parse_date
from trickleweb.http1 import BodyDelivery, ChunkedState, decode_chunked, parse_head_untrusted, render_head
from trickleweb.http1.target import decode_path, encoded_target
from trickleweb.messages import NeedMore, RequestHead

TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=20)
VALUES = st.text("".join(map(chr, [9, *range(32, 127), *range(160, 256)])), max_size=40).map(
    lambda value: value.strip(" \t")
)
FRAMING = {"host", "content-length", "transfer-encoding", "connection", "expect"}
PAIRS = st.lists(st.tuples(TOKENS.filter(lambda name: name.lower() not in FRAMING), VALUES), max_size=10)
TARGETS = st.text("".join(map(chr, range(33, 127))), max_size=40).map(
    lambda text: "/" + text.replace("#", "").replace("%", "")
)


def valid(target: str) -> bool:
    path = target.partition("?")[0]
    is_path = isinstance(outcome(lambda: decode_path(path)), str)  # it climbs not above the root
    return is_path and outcome(lambda: encoded_target("GET", target)) is None


@pytest.mark.slow
@given(TARGETS.filter(valid), PAIRS, st.binary(max_size=20))
def test_fields_come_out_as_they_went_in(target: str, pairs: list[tuple[str, str]], behind: bytes) -> None:
    head = f"GET {target} HTTP/1.1\r\nHost: a\r\n" + "".join(f"{name}: {value} \r\n" for name, value in pairs) + "\r\n"
    request = parse_head_untrusted(head.encode("latin-1") + behind)
    assert isinstance(request, RequestHead)
    assert (request.target, request.head_bytes) == (target, len(head))
    assert request.headers.pairs == (("host", "a"), *((name.lower(), value) for name, value in pairs))


@given(st.text("/.a%2efE", max_size=20).map(lambda text: "/" + text))
def test_a_decoded_path_has_no_dot_segment_and_is_rooted(raw_path: str) -> None:
    path = outcome(lambda: decode_path(raw_path))
    if isinstance(path, HTTPError):
        assert path.status == 400
        return
    assert path.startswith("/")
    assert not {".", ".."} & set(path.split("/"))
    if "%" not in path:
        assert decode_path(path) == path


CHUNKS = st.lists(st.binary(min_size=1, max_size=30), max_size=6)
EXTENSIONS = st.sampled_from([b"", b";a", b' ; b="c;\\"d"'])
TRAILERS = st.sampled_from([b"", b"X: y\r\n", b"Content-Length: 5\r\nY:\r\n"])


@given(CHUNKS, EXTENSIONS, TRAILERS, st.lists(st.integers(0, 300), max_size=8), st.binary(max_size=10))
def test_a_chunked_body_comes_out_however_its_input_is_cut(
    chunks: list[bytes], extension: bytes, trailers: bytes, cuts: list[int], behind: bytes
) -> None:
    coded = (
        b"".join(b"%X%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"
    )
    data, state, start, body = coded + behind, ChunkedState(), 0, b""
    for stop in [*sorted(cuts), len(data)]:
        decoded = decode_chunked(data[start:stop], state)
        state, start, body = decoded.state, start + decoded.consumed, body + b"".join(decoded.pieces)
    assert (body, start, decoded.done) == (b"".join(chunks), len(coded), True)


@given(st.binary(max_size=60))
def test_any_chunked_input_is_decoded_or_refused(data: bytes) -> None:
    decoded = outcome(lambda: decode_chunked(data))
    if isinstance(decoded, HTTPError):
        assert decoded.status in (400, 413, 431)
    else:
        assert 0 <= decoded.consumed <= len(data)


@given(st.binary(max_size=80), st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"]))
def test_any_input_is_a_request_or_incomplete_or_refused(data: bytes, start: bytes) -> None:
    request = outcome(lambda: parse_head_untrusted(start + data))
    if isinstance(request, HTTPError):
        assert request.close
        assert request.status in (301, 308, 400, 414, 417, 431, 501, 505)
    else:
        assert isinstance(request, RequestHead | NeedMore)


ANYTHING = st.text(st.characters(max_codepoint=0x17F), max_size=12)


@given(st.lists(st.tuples(ANYTHING | TOKENS, ANYTHING), max_size=4))
def test_a_rendered_head_reads_back_as_what_was_set_or_is_not_rendered(pairs: list[tuple[str, str]]) -> None:
    delivery = BodyDelivery(0, chunked=False, has_body=False, keep_alive=True)
    try:
        head = render_head(200, Headers(tuple(pairs)), delivery, date_seconds=0)
    except UnsafeHeader:
        return
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.receive_data(head)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    found = [(name.decode(), value.decode("latin-1")) for name, value in response.headers][: len(pairs)]
    assert found == [(name.lower(), value.strip(" \t")) for name, value in pairs]
    assert isinstance(client.next_event(), h11.EndOfMessage)
    assert client.trailing_data == (b"", False)


@given(st.integers(-62135596800, 253402300799), st.integers(0, 4_000_000_000))
def test_a_date_reads_back_as_its_time(seconds: int, now_seconds: int) -> None:
    assert parse_date(format_date(seconds), now_seconds=now_seconds) == seconds


@given(st.text("SunModay,- 0123456789:GMTNov", max_size=32), st.integers(0, 4_000_000_000))
def test_any_text_is_a_date_or_none(text: str, now_seconds: int) -> None:
    found = parse_date(text, now_seconds=now_seconds)
    assert found is None or isinstance(format_date(found), str)
