"""What a program is told of a request."""

import pytest

from tests.support.fleetkeys import WALL
from tests.support.hosting import START, answered, body_message, sending
from tests.support.loop import on_loop
from tests.support.web import request
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import Receive, Scope, Send


def test_the_scope_is_what_uvicorn_makes() -> None:
    scopes = list[Scope]()

    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await sending(START, body_message())(scope, receive, send)

    fields = (("Host", "Example.org:8080"), ("X-One", "1"), ("x-two", "caf\xe9"), ("X-One", "2"))
    asked = request("PUT", "/a%20b/%C3%A9%2f?q=%20&q", *fields, peer="192.0.2.7")
    on_loop(answered(AsgiApplication(program), asked))
    (scope,) = scopes
    extension = scope.pop("extensions")["trickleweb.request"]
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("example.org", 8080),
        "client": ("192.0.2.7", 0),
        "scheme": "http",
        "method": "PUT",
        "root_path": "",
        "path": "/a b/\xe9/",
        "raw_path": b"/a%20b/%C3%A9%2f",
        "query_string": b"q=%20&q",
        "headers": [(b"host", b"Example.org:8080"), (b"x-one", b"1"), (b"x-two", b"caf\xe9"), (b"x-one", b"2")],
        "state": {},
    }
    assert (extension["now"], extension["entropy"]("a")) == (WALL, asked.entropy("a"))


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("a.example", ("a.example", 80)),
        ("a.example:81", ("a.example", 81)),
        ("[::1]", ("::1", 80)),
        ("[::1]:82", ("::1", 82)),
    ],
)
def test_the_server_is_whom_the_client_asked_for(host: str, server: tuple[str, int]) -> None:
    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["server"] == server
        await sending(START, body_message(b"yes"))(scope, receive, send)

    assert on_loop(answered(AsgiApplication(program), request("GET", "/", ("Host", host))))[1] == b"yes"


def test_a_root_path_stands_before_the_path() -> None:
    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        told = "{root_path} {path} {raw_path}".format(**scope).encode()
        await sending(START, body_message(told))(scope, receive, send)

    _, told = on_loop(answered(AsgiApplication(program, root_path="/api"), request("GET", "/x")))
    assert told == b"/api /api/x b'/api/x'"


def test_below_a_mount_the_root_path_is_the_mount() -> None:
    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        await sending(START, body_message("{root_path} {path}".format(**scope).encode()))(scope, receive, send)

    whole = request("GET", "/old/x/y")
    assert on_loop(answered(AsgiApplication(program), whole.below("/x/y", {})))[1] == b"/old /old/x/y"
    assert on_loop(answered(AsgiApplication(program), request("GET", "/old").below("/", {})))[1] == b"/old /old/"
