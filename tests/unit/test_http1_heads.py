"""What a request says, read from the bytes of its head."""

import pytest

from tests.support.http_heads import MOVED, POST, VALID, head
from trickleweb.errors import HTTPError
from trickleweb.http1 import drop_caches, parse_head_untrusted
from trickleweb.limits import METHODS, Limits
from trickleweb.messages import Chunked, Framing, Length, NoBody, RequestHead


def parsed(data: bytes, limits: Limits | None = None) -> RequestHead:
    request = parse_head_untrusted(data, limits or Limits(methods=METHODS | {"CONNECT"}))
    assert isinstance(request, RequestHead)
    return request


def test_a_whole_request() -> None:
    data = head("User-Agent: curl/8.5.0", "Accept: */*", "accept: text/html", line="GET /a%20b/?q=%20&r HTTP/1.1")
    assert parsed(data + b"what follows") == RequestHead(
        method="GET",
        target="/a%20b/?q=%20&r",
        path="/a b/",
        raw_path="/a%20b/",
        query="q=%20&r",
        version=(1, 1),
        headers=parsed(data).headers,
        host="example.test",
        framing=NoBody(),
        expect_continue=False,
        keep_alive=True,
        head_bytes=len(data),
        scheme="http",
    )
    assert parsed(data).headers.pairs == (
        ("host", "example.test"),
        ("user-agent", "curl/8.5.0"),
        ("accept", "*/*"),
        ("accept", "text/html"),
    )


@pytest.mark.parametrize("name", VALID)
def test_a_valid_head_is_consumed_to_its_end(name: str) -> None:
    data = VALID[name]
    assert parsed(data).head_bytes == len(data)
    assert parsed(data + b"\r\n\r\n" + data) == parsed(data)


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/", "/", "/", ""),
        ("/?", "/", "/", ""),
        ("/a//b", "/a//b", "/a//b", ""),
        ("/caf%C3%A9?caf%C3%A9", "/caf\xe9", "/caf%C3%A9", "caf%C3%A9"),
        ("/caf%E9", "/caf\ufffd", "/caf%E9", ""),
        ("/a%2Fb%3Fc?d?e", "/a/b?c", "/a%2Fb%3Fc", "d?e"),
        ("/a/./b/../c/.", "/a/c/", "/a/./b/../c/.", ""),
        ("/a/b/..", "/a/", "/a/b/..", ""),
        ("/a/%2e%2E/b", "/b", "/a/%2e%2E/b", ""),
        ("/a%2f..%2fb", "/b", "/a%2f..%2fb", ""),
        ("/.well-known/..a/b..", "/.well-known/..a/b..", "/.well-known/..a/b..", ""),
        ("/%2541", "/%41", "/%2541", ""),
        ("/a?%7A", "/a", "/a", "%7A"),
        ("http://example.test", "/", "/", ""),
        ("http://example.test/a/../b?c", "/b", "/a/../b", "c"),
        ("http://example.test?/c", "/", "/", "/c"),
    ],
)
def test_the_target_is_taken_apart(target: str, path: str, raw_path: str, query: str) -> None:
    request = parsed(head(line=f"GET {target} HTTP/1.1"))
    assert (request.target, request.path, request.raw_path, request.query) == (target, path, raw_path, query)


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308)])
def test_a_target_beyond_the_grammar_is_moved_to_its_encoded_form(name: str, method: str, status: int) -> None:
    """RFC 9112 3.2: never corrected in silence."""
    target, encoded = MOVED[name]
    with pytest.raises(HTTPError) as caught:
        parse_head_untrusted(head(line=f"{method} {target.encode().decode('latin-1')} HTTP/1.1"))
    error = caught.value
    assert (error.status, error.close, error.headers) == (status, True, (("Location", encoded),))
    assert parsed(head(line=f"{method} {encoded} HTTP/1.1")).target == encoded


def test_the_authority_of_the_target_overrides_host() -> None:
    request = parsed(head(line="GET HTTPS://Other.test:8443/ HTTP/1.1", host="Host: Example.test"))
    assert (request.host, request.scheme) == ("other.test:8443", "https")
    assert request.headers.get("host") == "Example.test"


def test_the_host_is_in_lower_case_and_may_be_missing_in_1_0() -> None:
    assert parsed(head(host="Host: EXAMPLE.test:80")).host == "example.test:80"
    assert parsed(b"GET / HTTP/1.0\r\n\r\n").host == ""
    assert parsed(VALID["empty Host in 1.0"]).host == ""


def test_the_other_forms_of_a_target() -> None:
    assert parsed(VALID["asterisk form"]).path == "*"
    assert parsed(VALID["absolute form of the asterisk"]).path == "*"
    assert parsed(head(line="OPTIONS http://example.test/ HTTP/1.1")).path == "/"
    connect = parsed(head(line="CONNECT Inner.test:443 HTTP/1.1"))
    assert (connect.path, connect.host) == ("", "inner.test:443")


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        ((), NoBody()),
        (("Content-Length: 0",), NoBody()),
        (("Content-Length: 000",), NoBody()),
        (("Content-Length: 12",), Length(12)),
        (("X-Content-Length: 12",), NoBody()),
        (("X: Content-Length: 12",), NoBody()),
        (("Transfer-Encoding: CHUNKED",), Chunked()),
        (("X-Transfer-Encoding: chunked", "Content-Length: 1"), Length(1)),
    ],
)
def test_the_framing(fields: tuple[str, ...], framing: Framing) -> None:
    assert parsed(head(*fields, line=POST)).framing == framing


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Close\t", False),
        ("1.1", "closed", True),
        ("1.1", "keep-alive, close", False),
        ("1.1", "token, upgrade", True),
        ("1.2", None, True),
        ("1.0", None, False),
        ("1.0", "Keep-Alive", True),
        ("1.0", "x, keep-alive", True),
        ("1.0", "keep-alive, close", False),
    ],
)
def test_whether_the_connection_goes_on(version: str, connection: str | None, keep_alive: bool) -> None:
    fields = () if connection is None else (f"Connection: {connection}",)
    assert parsed(head(*fields, line=f"GET / HTTP/{version}")).keep_alive is keep_alive


def test_a_connection_option_in_a_second_field_counts() -> None:
    assert parsed(head("Connection: x", "Connection: close")).keep_alive is False


@pytest.mark.parametrize(
    ("fields", "version", "expects"),
    [
        (("Expect: 100-continue", "Content-Length: 1"), "1.1", True),
        (("Expect: 100-CONTINUE", "Transfer-Encoding: chunked"), "1.1", True),
        (("Expect: 100-continue",), "1.1", False),
        (("Expect:", "Content-Length: 1"), "1.1", False),
        (("Expect: 100-continue", "Content-Length: 1"), "1.0", False),
    ],
)
def test_who_waits_for_100_continue(fields: tuple[str, ...], version: str, expects: bool) -> None:
    assert parsed(head(*fields, line=f"POST / HTTP/{version}")).expect_continue is expects


def test_an_empty_line_before_the_head_counts_as_consumed() -> None:
    request = parsed(VALID["one empty line first"])
    assert request.head_bytes == parsed(head()).head_bytes + 2


def test_a_dropped_memo_changes_nothing() -> None:
    first = parse_head_untrusted(VALID["curl"])
    assert parse_head_untrusted(VALID["curl"]) is first
    drop_caches()
    again = parse_head_untrusted(VALID["curl"])
    assert again == first
    assert again is not first


def test_a_large_head_is_not_kept() -> None:
    data = VALID["cookies of several kB"]
    assert parse_head_untrusted(data) is not parse_head_untrusted(data)


def test_the_memo_minds_the_limits() -> None:
    parse_head_untrusted(VALID["curl"])
    with pytest.raises(HTTPError):
        parse_head_untrusted(VALID["curl"], Limits(max_headers=1))


@pytest.mark.parametrize(
    "codings", ["chunked,", ", chunked", ",chunked,", " , ,\tChunked , ", ",\r\nTransfer-Encoding: chunked"]
)
def test_empty_elements_of_a_list_of_codings_are_passed_over(codings: str) -> None:
    """RFC 9110 5.6.1.2."""
    request = parse_head_untrusted(head("A: b", f"Transfer-Encoding:{codings}", "C: d", line=POST))
    assert isinstance(request, RequestHead)
    assert request.framing == Chunked()
    names = [name.lower() for name, _ in request.headers]
    assert names.count("transfer-encoding") == 1
    assert {"host", "a", "c"} < set(names)


@pytest.mark.parametrize(
    "codings", ["gzip, chunked", "chunked, chunked", "chunked, gzip", "x, y", ",", ", gzip", "gzip"]
)
def test_codings_in_one_line_or_two_get_the_same_answer(codings: str) -> None:
    """RFC 9110 5.3: several lines of a field are one list."""
    lines = codings.split(",")
    statuses = set()
    for fields in ((f"Transfer-Encoding: {codings}",), tuple(f"Transfer-Encoding: {line.strip()}" for line in lines)):
        with pytest.raises(HTTPError) as caught:
            parse_head_untrusted(head(*fields, line=POST))
        statuses.add(caught.value.status)
    assert len(statuses) == 1
