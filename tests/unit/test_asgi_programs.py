"""Programs for ASGI on a replica: what they are told, what becomes of what they send, and when they end."""

import asyncio
from typing import Any

import pytest

from tests.support.hosting import START, answered, body_message, content, sending, slow, until_idle
from tests.support.loop import on_loop
from tests.support.web import request
from trickleweb.asgi import AsgiApplication, ProgramError
from trickleweb.asgi.messages import Message, Receive, Scope, Send
from trickleweb.asgi.outgoing import HELD_BYTES
from trickleweb.bodies import Complete, Streamed
from trickleweb.containment import BrokenOff
from trickleweb.errors import UnsafeHeader
from trickleweb.http1 import decide_delivery

LARGE = bytes(HELD_BYTES + 1)


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends back what it receives, and what it receives behind its response."""
    told = []
    while (message := await receive())["type"] == "http.request":
        told.append(message["body"])
        if not message["more_body"]:
            break
    await send(dict(START))
    await send(body_message(b"|".join(told)))
    scope["state"]["last"].append(await receive())


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"", b""), (b"whole", b"whole"), (("a", "b", "c"), b"a|b|c"), (("", "a", "", "b"), b"a|b")],
)
def test_a_body_comes_in_pieces_then_the_end_of_the_response(body: bytes | tuple[str, ...], told: bytes) -> None:
    async def test() -> list[Message]:
        last = list[Message]()

        async def program(scope: Scope, receive: Receive, send: Send) -> None:
            await telling({**scope, "state": {"last": last}}, receive, send)

        application = AsgiApplication(program)
        given = body if isinstance(body, bytes) else slow(*(piece.encode() for piece in body))
        assert (await answered(application, request("POST", "/", body=given)))[1] == told
        await until_idle(application)
        return last

    assert on_loop(test()) == [{"type": "http.disconnect"}]


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ([START, body_message(b"ab")], Complete(b"ab")),
        ([START, body_message()], Complete()),
        ([START, body_message(LARGE)], Complete(LARGE)),
        ([start(length(0)), body_message()], Complete()),
        ([start(length(2)), body_message(b"a", more=True), body_message(b"b")], Complete(b"ab")),
        ([start(length(2)), body_message(b"ab", more=True), body_message()], Complete(b"ab")),
        ([start(length(len(LARGE))), body_message(LARGE)], Complete(LARGE)),
        ([start(length(9), status=304), body_message()], Complete()),
        ([start(status=204), body_message()], Complete()),
        ([start(status=204), body_message(b"which is none")], Complete()),
    ],
)
def test_a_body_that_is_known_is_complete(messages: list[Message], kind: Complete) -> None:
    response, _ = on_loop(answered(AsgiApplication(sending(*messages))))
    assert response.body == kind


@pytest.mark.parametrize(
    ("head", "byte_count"), [(START, None), (start(length(3 * len(LARGE))), 3 * len(LARGE))], ids=["unknown", "told"]
)
def test_a_body_in_pieces_is_streamed_as_it_was_sent(head: Message, byte_count: int | None) -> None:
    async def test() -> None:
        pieces = [body_message(LARGE, more=True)] * 3
        response = await AsgiApplication(sending(head, *pieces, body_message())).respond(request())
        assert isinstance(response.body, Streamed)
        assert response.body.byte_count == byte_count
        chunks: Any = response.body.chunks
        assert [chunk async for chunk in chunks] == [LARGE] * 3

    on_loop(test())


def test_a_head_of_unknown_length_waits_a_little_and_not_for_good() -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def program(scope: Scope, receive: Receive, send: Send) -> None:
            await send(dict(START))
            await go_on.wait()
            await send(body_message(b"later"))

        response = await AsgiApplication(program).respond(request())
        go_on.set()
        assert (type(response.body), await content(response)) == (Streamed, b"later")

    on_loop(test())


def test_headers_are_kept_as_they_were_given() -> None:
    pairs = ((b"X-b", b"1"), (b"x-A", b"caf\xe9"), (b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2"), length(1))
    response, _ = on_loop(answered(AsgiApplication(sending(start(*pairs), body_message(b"x")))))
    told = [("X-b", "1"), ("x-A", "caf\xe9"), ("set-cookie", "a=1"), ("Set-Cookie", "b=2"), ("content-length", "1")]
    assert list(response.headers) == told
    assert not response.close


def test_a_program_may_end_the_connection() -> None:
    messages = start((b"Connection", b"close")), body_message(b"x")
    assert on_loop(answered(AsgiApplication(sending(*messages))))[0].close


WRONG: list[tuple[list[Message], str]] = [
    ([], "without a response"),
    ([START], "without completing its response"),
    ([body_message(b"first")], "expected the ASGI message 'http.response.start', and got 'http.response.body'"),
    ([{}], "got None"),
    ([START, START], "expected the ASGI message 'http.response.body', and got 'http.response.start'"),
    ([START, {"type": "http.response.trailers"}], "got 'http.response.trailers'"),
    ([start(status=101)], "101 is not the status"),
    ([start(status="200")], "'200' is not the status"),  # type: ignore[arg-type]
    ([start((b"content-length", b"x"))], "Content-Length"),
    ([start(length(1), length(2))], "Content-Length"),
    ([start(("text", "text"))], "pairs of bytes"),  # type: ignore[arg-type]
    ([{**START, "headers": [b"ab", b"c"]}], "pairs of bytes"),
    ([START, {"type": "http.response.body", "body": "text"}], "a body is bytes, not str"),
    ([start(length(3)), body_message(b"ab")], "a body of 2 bytes, not of the announced 3"),
    ([start(length(1)), body_message(b"ab")], "a body of 2 bytes, not of the announced 1"),
    ([start(length(1)), body_message(b"ab", more=True)], "a body of 2 bytes or more, not of the announced 1"),
]


@pytest.mark.parametrize(("messages", "why"), WRONG, ids=[why for _, why in WRONG])
def test_what_a_program_may_not_send_is_an_error_before_anything_went_out(messages: list[Message], why: str) -> None:
    with pytest.raises(ProgramError, match=why.replace("(", "\\(")):
        on_loop(answered(AsgiApplication(sending(*messages))))


@pytest.mark.parametrize("value", [b"a\r\nX: b", b"a\0b", b"a\nb"])
def test_a_header_that_would_break_the_message_is_an_error(value: bytes) -> None:
    with pytest.raises(UnsafeHeader):
        on_loop(answered(AsgiApplication(sending(start((b"x", value)), body_message()))))


def test_the_program_is_told_what_it_does_wrong() -> None:
    async def test() -> str:
        told = list[str]()

        async def program(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await send(body_message(b"first"))
            except ProgramError as error:
                told.append(str(error))
            await sending(START, body_message(b"then in order"))(scope, receive, send)

        with pytest.raises(ProgramError):
            await AsgiApplication(program).respond(request())
        return told[0]

    assert "expected the ASGI message" in on_loop(test())


def test_a_message_behind_the_end_is_reported_and_harms_nobody() -> None:
    async def test() -> list[Exception]:
        errors = list[Exception]()
        application = AsgiApplication(
            sending(START, body_message(b"all"), body_message(b"more")), on_error=errors.append
        )
        assert (await answered(application))[1] == b"all"
        await until_idle(application)
        return errors

    (error,) = on_loop(test())
    assert "the response is complete" in str(error)


@pytest.mark.parametrize("before", [[], [START], [start(length(3)), body_message(b"ab", more=True)]])
def test_an_exception_before_anything_went_out_is_the_servers_to_answer(before: list[Message]) -> None:
    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        await sending(*before)(scope, receive, send)
        raise LookupError("in the program")

    with pytest.raises(LookupError, match="in the program"):
        on_loop(answered(AsgiApplication(program)))


@pytest.mark.parametrize("error", [LookupError("in the middle"), None])
def test_a_stream_that_breaks_off_does_not_look_complete(error: Exception | None) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def program(scope: Scope, receive: Receive, send: Send) -> None:
            await sending(START, body_message(b"so far", more=True))(scope, receive, send)
            await go_on.wait()
            if error is not None:
                raise error

        response = await AsgiApplication(program).respond(request())
        assert isinstance(response.body, Streamed)
        chunks: Any = response.body.chunks
        assert await anext(chunks) == b"so far"
        go_on.set()
        with pytest.raises(LookupError if error else ProgramError, match=r"in the middle|without completing"):
            await anext(chunks)

    on_loop(test())


def test_a_program_that_exits_ends_its_own_response_only() -> None:
    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        raise SystemExit(3)

    with pytest.raises(BrokenOff, match=r"the program ended with SystemExit\(3\)"):
        on_loop(answered(AsgiApplication(program)))


@pytest.mark.parametrize(
    ("messages", "size"),
    [
        ([start(length(1234)), body_message()], 1234),
        ([start(length(1234)), body_message(bytes(1234))], 1234),
        ([START, body_message(b"four")], 4),
        ([START, body_message(b"some", more=True), body_message(LARGE, more=True), body_message()], None),
    ],
)
def test_head_gets_the_length_and_no_body(messages: list[Message], size: int | None) -> None:
    async def test() -> None:
        application, asked = AsgiApplication(sending(*messages)), request("HEAD")
        response = await application.respond(asked)
        body = response.body
        told = body.byte_count if isinstance(body, Streamed) else len(body.data) if isinstance(body, Complete) else -1
        assert told == size
        assert decide_delivery(asked.head, response.status, told).content_length == size
        await until_idle(application)  # the program runs to its end

    on_loop(test())


def test_a_body_over_its_limit_is_refused_whatever_the_program_makes_of_it() -> None:
    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive())["more_body"]:
                pass
        except Exception:  # noqa: BLE001 - as frameworks do
            await sending(start(status=500), body_message(b"oh"))(scope, receive, send)

    asked = request("POST", "/", body=slow(b"12345", b"67890"), max_body_bytes=8)
    response, _ = on_loop(answered(AsgiApplication(program), asked))
    assert (response.status, response.close) == (413, True)


def test_terms_are_of_the_method() -> None:
    application = AsgiApplication(sending(), repeatable_methods=["put", "DELETE"], max_body_bytes=5)
    asked = {method: application.terms(request(method).head) for method in ("PUT", "DELETE", "POST")}
    assert [asked[method].repeatable for method in asked] == [True, True, False]
    assert {terms.max_body_bytes for terms in asked.values()} == {5}


@pytest.mark.parametrize("name", ["If-Match", "if-none-match", "If-Unmodified-Since", "If"])
def test_what_depends_on_a_state_that_it_may_have_changed_is_not_repeatable(name: str) -> None:
    application = AsgiApplication(sending(), repeatable_methods=["PUT"])
    assert not application.terms(request("PUT", "/", (name, "x")).head).repeatable
    assert application.terms(request("PUT", "/", ("If-Range", "x")).head).repeatable
