"""Requests as handlers see them: every form of a body, every limit, and the same entropy when run again."""

from datetime import date

import pytest

from tests.support.web import SEED, collect, head, pieces, request, run
from trickleweb.errors import HTTPError
from trickleweb.forms import FormLimits, PartBegin, PartData, PartEnd
from trickleweb.multidict import MissingField
from trickleweb.request import BodyConsumed, BodyNotRead, NotSetUp, Request

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
PARTS = ("Content-Type", "multipart/form-data; boundary=b")
MULTIPART = b"--b\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\n12\r\n--b--"


def refused(status: int, asked: Request, accessor: str) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        getattr(asked, accessor)()
    assert caught.value.status == status
    return caught.value


def test_the_head_is_at_hand() -> None:
    asked = request("POST", "/a%20b?x=1&x=2&y=%C3%BC+z", ("Cookie", "a=1; b=2"), ("X-Own", "v"), peer="192.0.2.1")
    assert (asked.method, asked.path, asked.host, asked.scheme) == ("POST", "/a b", "example.org", "http")
    assert asked.query.all("x") == ("1", "2")
    assert asked.query["y"] == "ü z"
    assert asked.query is asked.query
    assert asked.cookies == {"a": "1", "b": "2"}
    assert asked.cookies is asked.cookies
    assert asked.headers.get("x-own") == "v"
    assert asked.peer == "192.0.2.1"
    assert request(idempotency_key="k").idempotency_key == "k"
    assert asked.absolute("/x") == "http://example.org/x"
    assert (asked.principal, asked.params, asked.state) == ("", {}, {})


def test_a_missing_query_field_is_the_clients_error() -> None:
    with pytest.raises(MissingField):
        request("GET", "/").query["page"]


@pytest.mark.parametrize(("query", "status"), [("a=%ff", 400), ("&".join("a" * 9), 413), ("a=" + "x" * 99, 413)])
def test_a_bad_query_is_the_clients_error(query: str, status: int) -> None:
    asked = request("GET", f"/?{query}", form_limits=FormLimits(max_fields=5, max_field_bytes=50))
    with pytest.raises(HTTPError) as caught:
        asked.query.get("a")
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("query", "kind", "value"),
    [("7", "int", 7), ("-0.5", "float", -0.5), ("2024-02-29", "date", date(2024, 2, 29)), ("a%20b", "str", "a b")],
)
def test_a_field_of_the_query_in_its_type(query: str, kind: str, value: object) -> None:
    asked = request("GET", f"/?x={query}")
    assert asked.typed("x", kind) == value
    assert asked.typed("y", kind, None) is None
    with pytest.raises(MissingField):
        asked.typed("y", kind)


@pytest.mark.parametrize(("query", "kind"), [("x", "int"), ("", "int"), ("9" * 30, "int"), ("2024-02-30", "date")])
def test_a_field_of_another_type_is_the_clients_error(query: str, kind: str) -> None:
    with pytest.raises(HTTPError, match=f"400 The field 'x' is no {kind}."):
        request("GET", f"/?x={query}").typed("x", kind)


@pytest.mark.parametrize(
    ("accept", "html"),
    [(None, True), ("*/*", True), ("text/*;q=0.1", True), ("text/html;q=0, */*", False), ("image/png", False)],
)
def test_what_the_client_takes(accept: str | None, html: bool) -> None:
    asked = request("GET", "/", *([("Accept", accept)] if accept else []))
    assert asked.accepts("text/html") is html


def test_json_is_read() -> None:
    for kind in ("application/json", "application/problem+json; charset=utf-8", "Application/JSON"):
        asked = request("POST", "/", ("Content-Type", kind), body='{"ä": [1, null]}'.encode())
        assert asked.json() == {"ä": [1, None]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"NaN",
        b"1e999",
        b"[" * 100_000,
        b"1" * 5000,
        "{}".encode("utf-16"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_bad_json_is_400(body: bytes) -> None:
    error = refused(400, request("POST", "/", JSON, body=body), "json")
    assert error.reason.startswith("The body is not JSON: ")
    assert len(error.reason) < 150


@pytest.mark.parametrize("kind", ["text/plain", "application/jsonx", "text/html; charset=utf-8"])
def test_json_of_another_type_is_415(kind: str) -> None:
    error = refused(415, request("POST", "/", ("Content-Type", kind), body=b"{}"), "json")
    assert error.headers == (("Accept-Post", "application/json"),)


def test_json_without_a_type_or_with_a_malformed_one_is_415() -> None:
    refused(415, request("POST", "/", body=b"{}"), "json")
    refused(415, request("POST", "/", ("Content-Type", "application/json;;=x"), body=b"{}"), "json")
    refused(415, request("POST", "/", ("Content-Type", ""), body=b"{}"), "form")


def test_text_is_read() -> None:
    assert request("POST", "/", body="ü".encode()).text() == "ü"
    latin = ("Content-Type", "text/plain; charset=ISO-8859-1")
    assert request("POST", "/", latin, body=b"\xfc").text() == "ü"
    refused(400, request("POST", "/", body=b"\xff"), "text")
    refused(400, request("POST", "/", ("Content-Type", "text/plain; charset=us-ascii"), body=b"\xfc"), "text")
    for charset in ("utf-16", "idna", "zlib", "unknown"):
        refused(415, request("POST", "/", ("Content-Type", f"text/plain; charset={charset}"), body=b""), "text")


def test_forms_of_both_encodings_are_read_once() -> None:
    plain = request("POST", "/", FORM, body=b"a=1&b=x+y")
    assert plain.form()["b"] == "x y"
    assert plain.form() is plain.form()
    assert request("POST", "/", PARTS, body=MULTIPART).form().files["a"].data == b"12"
    refused(415, request("POST", "/", JSON, body=b"a=1"), "form")
    refused(415, request("POST", "/", body=b"a=1"), "form")
    refused(400, request("POST", "/", PARTS, body=MULTIPART[:-1]), "form")
    refused(400, request("POST", "/", FORM, body=b"a=%ff"), "form")
    refused(413, request("POST", "/", FORM, body=b"a&b", form_limits=FormLimits(max_fields=1)), "form")


@pytest.mark.parametrize("accessor", ["text", "json", "form"])
def test_a_packed_body_is_refused_before_it_unfolds(accessor: str) -> None:
    error = refused(415, request("POST", "/", JSON, ("Content-Encoding", "gzip"), body=b"{}"), accessor)
    assert error.headers == (("Accept-Encoding", "identity"),)
    assert request("POST", "/", JSON, ("Content-Encoding", "identity"), body=b"{}").json() == {}


def test_a_body_in_hand_has_its_limit() -> None:
    assert request("POST", "/", body=b"12345", max_body_bytes=5).body == b"12345"
    for accessor in ("text", "read"):
        asked = request("POST", "/", body=b"123456", max_body_bytes=5)
        with pytest.raises(HTTPError, match="413") as caught:
            run(asked.read()) if accessor == "read" else asked.text()
        assert caught.value.close


def test_a_body_is_streamed_once() -> None:
    asked = request("POST", "/", ("Content-Length", "3"), body=pieces(b"1", b"", b"23"))
    assert collect(asked.stream()) == [b"1", b"23"]
    for again in (lambda: collect(asked.stream()), lambda: run(asked.read())):
        with pytest.raises(BodyConsumed):
            again()


def test_a_body_that_was_read_can_be_had_in_any_way() -> None:
    asked = request("POST", "/", FORM, body=pieces(b"a=", b"1"))
    with pytest.raises(BodyNotRead, match=r"await request.read\(\)"):
        asked.form()
    assert run(asked.read()) == b"a=1"
    assert run(asked.read()) == asked.body == b"a=1"
    assert asked.form()["a"] == "1"
    assert collect(asked.stream()) == collect(asked.stream()) == [b"a=1"]
    assert collect(request().stream()) == []


def test_a_stream_has_its_limit_at_the_first_byte_too_many() -> None:
    taken: list[bytes] = []

    async def take(asked: Request) -> None:
        async for piece in asked.stream():
            taken.append(piece)

    with pytest.raises(HTTPError, match="413"):
        run(take(request("POST", "/", body=pieces(b"123", b"45", b"6", b"never asked for"), max_body_bytes=5)))
    assert taken == [b"123", b"45"]


def test_a_body_that_is_announced_too_long_is_refused_unread() -> None:
    asked = request("POST", "/", ("Content-Length", "6"), body=pieces(b"never asked for"), max_body_bytes=5)
    with pytest.raises(HTTPError, match="413"):
        collect(asked.stream())


def test_parts_come_as_they_are_read() -> None:
    asked = request("POST", "/", PARTS, body=pieces(*(bytes([each]) for each in MULTIPART)))
    events = collect(asked.parts())
    assert isinstance(events[0], PartBegin)
    assert events[0].head.filename == "f"
    assert [event.data for event in events if isinstance(event, PartData)] == [b"1", b"2"]
    assert events[-1] == PartEnd()


@pytest.mark.parametrize(
    ("fields", "body", "status"),
    [
        ((FORM,), MULTIPART, 415),
        ((), MULTIPART, 415),
        ((("Content-Type", "multipart/form-data"),), MULTIPART, 400),
        ((PARTS, ("Content-Encoding", "br")), MULTIPART, 415),
        ((PARTS,), MULTIPART[:-1], 400),
        ((PARTS,), b"x" * 100, 400),
    ],
)
def test_bad_parts_are_the_clients_error(fields: tuple[tuple[str, str], ...], body: bytes, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        collect(request("POST", "/", *fields, body=pieces(body)).parts())
    assert caught.value.status == status


def test_entropy_is_the_same_when_the_request_is_run_again() -> None:
    one, again, other = request(), request("POST", "/x"), request(seed=bytes(32))
    assert one.entropy("a") == again.entropy("a")
    assert len({one.entropy("a"), one.entropy("b"), other.entropy("a"), SEED}) == 4
    assert len(one.entropy("a", 100)) == 100
    assert one.entropy("a", 100)[:32] == one.entropy("a")
    assert one.now == again.now


def test_what_is_not_set_up_says_so() -> None:
    bare = Request(head())
    with pytest.raises(NotSetUp, match="no seed"):
        bare.entropy("a")
    with pytest.raises(NotSetUp, match="middleware `sessions`"):
        _ = bare.session
    with pytest.raises(NotSetUp, match="no routes, so none called 'home'"):
        bare.url_for("home", id=1)
    assert request(url_for=lambda name, **params: f"/{name}/{params['id']}").url_for("u", id=1) == "/u/1"
