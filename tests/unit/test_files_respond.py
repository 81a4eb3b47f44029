"""What a resource is answered with: heads and pieces for every kind of answer."""

import pytest

from trickleweb.errors import HTTPError
from trickleweb.files.digests import content_name, strong_etag
from trickleweb.files.representations import Resource, Variant
from trickleweb.files.respond import Ask, ask_of, respond
from trickleweb.headers import Headers
from trickleweb.messages import Inline, Plan, Slice

NOW_S = 1_700_000_000
DIGEST = bytes(20)
CONTENT = content_name(DIGEST, "a.txt")
ETAG = strong_etag(DIGEST)
PLAIN = Variant(CONTENT, ETAG, 1000, 784_111_777)
GZIP = Variant(content_name(b"\1" * 20, "a.txt.gz"), strong_etag(b"\1" * 20, "gzip"), 100, 784_111_778, "gzip")
TEXT = Resource("text/plain; charset=utf-8", "no-cache", (PLAIN,))
BOTH = Resource("text/plain; charset=utf-8", "no-cache", (PLAIN, GZIP))


def answer(resource: Resource = TEXT, /, method: str = "GET", **fields: str) -> Plan:
    return respond(resource, Ask(method, **fields), now_s=NOW_S)


def refused(resource: Resource = TEXT, /, method: str = "GET", **fields: str) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        answer(resource, method, **fields)
    return caught.value


def test_the_whole() -> None:
    assert answer() == Plan(
        200,
        Headers(
            (
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("ETag", ETAG),
                ("Cache-Control", "no-cache"),
                ("Accept-Ranges", "bytes"),
                ("X-Content-Type-Options", "nosniff"),
            )
        ),
        (Slice(CONTENT, 0, 1000),),
    )


def test_head_is_as_get_and_knows_no_ranges() -> None:
    assert answer(method="HEAD", range="bytes=0-0") == answer()


def test_an_empty_file_has_no_pieces() -> None:
    empty = Resource("text/plain", "no-cache", (Variant(CONTENT, ETAG, 0, None),))
    assert answer(empty).pieces == ()
    assert answer(empty).status == 200
    for value in ("bytes=-5", "bytes=0-", "bytes=0-0", "bytes=0-5,9-"):
        assert answer(empty, range=value).status == 200


def test_not_modified_has_what_a_cache_needs() -> None:
    plan = answer(BOTH, if_none_match="*")
    assert plan == Plan(304, Headers((("ETag", ETAG), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding"))), ())


def test_one_range() -> None:
    plan = answer(range="bytes=10-19")
    assert plan.status == 206
    assert plan.headers.get("Content-Range") == "bytes 10-19/1000"
    assert plan.headers.get("Content-Type") == "text/plain; charset=utf-8"
    assert plan.pieces == (Slice(CONTENT, 10, 20),)


def test_several_ranges_are_multipart() -> None:
    plan = answer(range="bytes=0-0,-1")
    limit = "part-" + ETAG.strip('"')
    assert plan.status == 206
    assert plan.headers.get("Content-Type") == f"multipart/byteranges; boundary={limit}"
    assert "Content-Range" not in plan.headers
    text = "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes"
    assert plan.pieces == (
        Inline(f"--{limit}\r\n{text} 0-0/1000\r\n\r\n".encode()),
        Slice(CONTENT, 0, 1),
        Inline(f"\r\n--{limit}\r\n{text} 999-999/1000\r\n\r\n".encode()),
        Slice(CONTENT, 999, 1000),
        Inline(f"\r\n--{limit}--\r\n".encode()),
    )


def test_ranges_that_become_one_are_no_multipart() -> None:
    assert answer(range="bytes=0-4,5-9").pieces == (Slice(CONTENT, 0, 10),)


def test_too_many_ranges_get_the_whole() -> None:
    many = "bytes=" + ",".join(f"{at * 20}-{at * 20}" for at in range(17))
    assert answer(range=many) == answer()
    assert respond(TEXT, Ask("GET", range=many), now_s=NOW_S, max_parts=17).status == 206


def test_what_cannot_be_satisfied_says_how_long_the_file_is() -> None:
    error = refused(range="bytes=1000-")
    assert (error.status, error.headers) == (416, (("Content-Range", "bytes */1000"),))


@pytest.mark.parametrize("if_range", ['"old"', f"W/{ETAG}", "Sun, 06 Nov 1994 08:49:38 GMT"])
def test_a_range_of_another_version_gets_the_whole(if_range: str) -> None:
    assert answer(range="bytes=0-0", if_range=if_range) == answer()
    assert answer(range="bytes=5000-", if_range=if_range) == answer()


@pytest.mark.parametrize("if_range", [ETAG, "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_a_range_of_this_version_counts(if_range: str) -> None:
    assert answer(range="bytes=0-0", if_range=if_range).status == 206


def test_preconditions_come_before_ranges() -> None:
    assert answer(range="bytes=0-0", if_none_match=ETAG).status == 304
    assert refused(range="bytes=0-0", if_match='"old"').status == 412
    assert refused(method="HEAD", if_match='"old"').status == 412


def test_a_coded_variant_is_a_representation_of_its_own() -> None:
    plan = answer(BOTH, accept_encoding="gzip")
    assert plan.headers.get("Content-Encoding") == "gzip"
    assert plan.headers.get("Content-Type") == "text/plain; charset=utf-8"
    assert plan.headers.get("Vary") == "Accept-Encoding"
    assert plan.headers.get("ETag") == GZIP.etag
    assert plan.pieces == (Slice(GZIP.content, 0, 100),)
    assert answer(BOTH, accept_encoding="gzip", if_none_match=GZIP.etag).status == 304
    assert answer(BOTH, accept_encoding="gzip", if_none_match=ETAG).status == 200
    ranged = answer(BOTH, accept_encoding="gzip", range="bytes=90-200")
    assert ranged.headers.get("Content-Range") == "bytes 90-99/100"
    assert ranged.pieces == (Slice(GZIP.content, 90, 100),)


def test_the_plain_variant_varies_too_and_has_no_coding() -> None:
    plan = answer(BOTH)
    assert plan.headers.get("Vary") == "Accept-Encoding"
    assert "Content-Encoding" not in plan.headers


def test_a_resource_chosen_by_a_field_says_so() -> None:
    chosen = Resource("text/html", "no-cache", (PLAIN, GZIP), vary="Accept")
    assert answer(chosen).headers.get("Vary") == "Accept, Accept-Encoding"


def test_the_fields_are_read_as_lists_where_they_are_lists() -> None:
    headers = Headers(
        (
            ("if-none-match", '"a"'),
            ("if-none-match", '"b"'),
            ("accept-encoding", "gzip"),
            ("accept-encoding", "br"),
            ("range", "bytes=0-0"),
        )
    )
    ask = ask_of("GET", headers)
    assert (ask.if_none_match, ask.accept_encoding, ask.range) == ('"a", "b"', "gzip, br", "bytes=0-0")
    assert ask_of("GET", headers.added(("range", "bytes=1-1"))).range is None
