"""Compression: the same bytes everywhere, only where it may and pays, and caches told."""

import gzip
import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.web import ask, composed, fields, request, returning
from trickleweb.bodies import Complete
from trickleweb.headers import Headers
from trickleweb.middleware import compression
from trickleweb.middleware.compression import chosen_coding, deflate_bytes, gzip_bytes
from trickleweb.responses import Response

TEXT = "hello, hello, hello " * 100
PAGE = Response.text(TEXT)


def answered(response: Response, accept: str | None = "gzip", method: str = "GET") -> Response:
    asked = request(method, "/", *([("Accept-Encoding", accept)] if accept is not None else []))
    return ask(composed(returning(response), [compression()]), asked)


def data(response: Response) -> bytes:
    assert isinstance(response.body, Complete)
    return response.body.data


@given(st.binary(max_size=3000), st.integers(1, 9))
def test_what_is_packed_unpacks(original: bytes, level: int) -> None:
    assert gzip.decompress(gzip_bytes(original, level)) == original
    assert zlib.decompress(deflate_bytes(original, level)) == original
    assert gzip_bytes(original, level) == gzip_bytes(original, level)


def test_the_bytes_hold_no_time_name_or_system() -> None:
    assert gzip_bytes(b"")[:10] == b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    assert gzip_bytes(b"abc")[-8:] == zlib.crc32(b"abc").to_bytes(4, "little") + b"\3\0\0\0"
    assert deflate_bytes(b"abc")[-4:] == zlib.adler32(b"abc").to_bytes(4, "big")


def test_text_is_packed_for_who_takes_it() -> None:
    response = answered(PAGE)
    assert gzip.decompress(data(response)) == TEXT.encode()
    assert fields(response) == {
        "Content-Type": "text/plain; charset=utf-8",
        "Vary": "Accept-Encoding",
        "Content-Encoding": "gzip",
    }
    assert zlib.decompress(data(answered(PAGE, "deflate"))) == TEXT.encode()
    assert answered(PAGE, method="HEAD") == response


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("deflate, gzip", "gzip"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("gzip;q=0, deflate;q=0", None),
        ("*", "gzip"),
        ("*;q=0.1, gzip;q=0", "deflate"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("br", None),
        ("", None),
        (None, None),
        ("gzip;q=x", None),
        (",;,=", None),
    ],
)
def test_the_client_chooses(accept: str | None, coding: str | None) -> None:
    assert chosen_coding(accept) == coding
    response = answered(PAGE, accept)
    assert response.headers.get("content-encoding") == coding
    assert fields(response)["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(("etag", "sent"), [('"abc"', 'W/"abc"'), ('W/"abc"', 'W/"abc"')])
def test_an_etag_gets_weak_and_ranges_are_off(etag: str, sent: str) -> None:
    page = PAGE.with_header("ETag", etag).with_header("Accept-Ranges", "bytes")
    found = fields(answered(page))
    assert found["ETag"] == sent
    assert "Accept-Ranges" not in found
    plain = fields(answered(page, None))
    assert (plain["ETag"], plain["Accept-Ranges"]) == (etag, "bytes")


LEFT_ALONE = [
    Response.text("short"),
    Response.bytes(TEXT.encode(), media_type="image/png"),
    Response.bytes(TEXT.encode()),
    Response(200, Headers(), Complete(TEXT.encode())),
    Response.stream([TEXT], media_type="text/plain"),
    Response.file("a.txt"),
    Response.template("a.html"),
    PAGE.with_header("Content-Encoding", "br"),
    PAGE.with_header("Cache-Control", "public, no-transform"),
    PAGE.with_header("Content-Range", "bytes 0-9/20"),
    *(PAGE.with_header(name, "x") for name in ("Repr-Digest", "Content-Digest", "Digest", "Content-MD5")),
    *(Response.text(TEXT, status=status) for status in (204, 205, 206, 304)),
]


@pytest.mark.parametrize("response", LEFT_ALONE)
def test_what_must_not_change_or_does_not_pay_is_left_alone(response: Response) -> None:
    assert answered(response) is response


def test_what_does_not_get_shorter_is_sent_as_it_is() -> None:
    noise = Response.bytes(b"".join(sha256(bytes([at])).digest() for at in range(30)), media_type="text/plain")
    assert answered(noise) == noise.varying("Accept-Encoding")


def test_errors_and_json_are_packed_too() -> None:
    assert answered(Response.json([TEXT], status=404)).headers.get("content-encoding") == "gzip"
    assert answered(Response.bytes(TEXT.encode(), media_type="image/svg+xml")).headers.get("content-encoding") == "gzip"


def test_vary_is_joined_to_what_is_there() -> None:
    assert fields(answered(PAGE.with_header("Vary", "Cookie")))["Vary"] == "Cookie, Accept-Encoding"
