"""Chunked bodies decoded in steps: what is sound comes out whole, what is not is refused as soon as it shows."""

import pytest

from trickleweb.errors import HTTPError
from trickleweb.http1 import ChunkedState, decode_chunked
from trickleweb.limits import Limits

SOUND: dict[str, tuple[bytes, bytes]] = {
    "empty": (b"0\r\n\r\n", b""),
    "one chunk": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "two chunks": (b"5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", b"hello world"),
    "hex in both cases": (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
    "zeros first": (b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
    "line ends in the data": (b"6\r\n\r\n0\r\n\r\r\n0\r\n\r\n", b"\r\n0\r\n\r"),
    "extensions": (b'5;a;b=c; d = "e\\"\\\\;\xff" \t;f\r\nhello\r\n0;last\r\n\r\n', b"hello"),
    "trailers": (b"5\r\nhello\r\n0\r\nVary: *\r\nContent-Length: 9\r\nEmpty:\r\n\r\n", b"hello"),
}

HOSTILE: dict[str, bytes] = {
    **{
        f"size {size!r}": size + b"\r\nhello\r\n0\r\n\r\n"
        for size in (
            *(b"", b"Z", b"-5", b"+5", b"0x5", b"5_0", b" 5", b"5 ", b"5\t", b"5,", b"\xb2", b"5.0", b"5h"),
            *(
                b"5;",
                b"5;;a",
                b"5;=a",
                b"5;a=",
                b"5 a",
                b"5;a b",
                b"5;[a]",
                b'5;a="b',
                b'5;a="b"c',
                b"5;a,b",
                b"5;a\0b",
            ),
            *(
                b"5;a\rb",
                b"5;a\nb",
                b"5\n",
                b"5\r",
                b"\n5",
                b"\r\n5",
                b"5;a\x7f",
                b"00000000000000005",
                b"5;" + b"a" * 300,
            ),
        )
    },
    "line end of LF": b"5\nhello\n0\n\n",
    "line end of CR": b"5\rhello\r0\r\r",
    "data without its end": b"5\r\nhello0\r\n\r\n",
    "data longer than said": b"5\r\nhello!!\r\n0\r\n\r\n",
    "data shorter than said": b"5\r\nhell\r\n0\r\n\r\n",
    "data ends in LF": b"5\r\nhello\n0\r\n\r\n",
    "data ends in CR": b"5\r\nhello\r0\r\n\r\n",
    "trailer without colon": b"0\r\nnonsense\r\n\r\n",
    "trailer without name": b"0\r\n: a\r\n\r\n",
    "trailer with blank before the colon": b"0\r\nX : a\r\n\r\n",
    "folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "trailer with NUL": b"0\r\nX: \0\r\n\r\n",
    "trailer with bare CR": b"0\r\nX: a\rb\r\n\r\n",
    "trailer with bare LF": b"0\r\nX: a\nY: b\r\n\r\n",
    "trailers end in LF": b"0\r\n\n",
    "request for trailer": b"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_body_comes_out_whole(name: str) -> None:
    data, body = SOUND[name]
    decoded = decode_chunked(data + b"GET /next")
    assert (b"".join(decoded.pieces), decoded.consumed, decoded.done) == (body, len(data), True)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_body_cut_anywhere_goes_on_from_its_state(name: str) -> None:
    data, body = SOUND[name]
    for cut in range(len(data)):
        first = decode_chunked(data[:cut])
        assert not first.done
        second = decode_chunked(data[first.consumed :], first.state)
        assert b"".join(first.pieces + second.pieces) == body
        assert (first.consumed + second.consumed, second.done) == (len(data), True)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_malformed_body_is_refused_whole_or_byte_by_byte(name: str) -> None:
    data = HOSTILE[name]
    with pytest.raises(HTTPError) as whole:
        decode_chunked(data)
    with pytest.raises(HTTPError) as slow:
        byte_by_byte(data)
    assert (whole.value.status, whole.value.close) == (400, True)
    assert (slow.value.status, slow.value.close) == (400, True)


def byte_by_byte(data: bytes) -> None:
    state, start = ChunkedState(), 0
    for stop in range(len(data) + 1):
        decoded = decode_chunked(data[start:stop], state)
        state, start = decoded.state, start + decoded.consumed
        assert not decoded.done


@pytest.mark.parametrize(
    "data", [b"5;a\n", b"5\rx", b"x", b"5" * 17, b"5;" + b"a" * 300, b"1\r\nxy", b"0\r\nX: \0", b"0\r\nX\n"]
)
def test_what_no_byte_can_mend_is_refused_before_its_line_ends(data: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        decode_chunked(data)
    assert caught.value.status == 400


def test_the_body_is_bounded_by_what_its_chunks_announce() -> None:
    limits = Limits(max_body_bytes=8)
    assert decode_chunked(b"5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n", limits=limits).done
    for data in (b"9\r\n", b"5\r\nhello\r\n4\r\n", b"ffffffffffffffff\r\n"):
        with pytest.raises(HTTPError) as caught:
            decode_chunked(data, limits=limits)
        assert (caught.value.status, caught.value.close) == (413, True)


def test_the_bound_of_the_body_holds_across_steps() -> None:
    first = decode_chunked(b"5\r\nhello\r\n", limits=Limits(max_body_bytes=8))
    with pytest.raises(HTTPError) as caught:
        decode_chunked(b"4\r\n", first.state, Limits(max_body_bytes=8))
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "data", [b"0\r\nX: 34567890\r\n\r\n", b"0\r\nX: 345678901", b"0\r\nX: 3\r\nY: 3\r\nZ: 3\r\n\r\n"]
)
def test_trailers_are_bounded_together(data: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        decode_chunked(data, limits=Limits(max_trailer_bytes=10))
    assert (caught.value.status, caught.value.close) == (431, True)


def test_trailers_within_their_bound_pass_to_the_byte() -> None:
    assert decode_chunked(b"0\r\nX: 345\r\n\r\n", limits=Limits(max_trailer_bytes=8)).done


def test_the_chunk_line_is_bounded_to_the_byte() -> None:
    limits = Limits(max_chunk_line_bytes=4)
    assert decode_chunked(b"1;ab\r\nx\r\n0\r\n\r\n", limits=limits).done
    with pytest.raises(HTTPError):
        decode_chunked(b"1;abc\r\nx\r\n0\r\n\r\n", limits=limits)


def test_nothing_of_an_incomplete_line_is_consumed() -> None:
    decoded = decode_chunked(b"5\r\nhello\r\n3;ext\r")
    assert (decoded.pieces, decoded.consumed) == ((b"hello",), 10)


def test_a_done_body_takes_no_more() -> None:
    done = decode_chunked(b"0\r\n\r\n").state
    assert decode_chunked(b"5\r\nhello\r\n", done).consumed == 0
