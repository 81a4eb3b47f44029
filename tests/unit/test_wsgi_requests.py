"""What a program for WSGI is told of a request, and how it reads the body."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from tests.support.hosting import slow
from tests.support.loop import on_loop
from tests.support.web import request
from tests.support.wsgi import PLAIN, Environ, ran, returning
from trickleweb.request import Request
from trickleweb.wsgi.running import StartResponse


def environ_of(asked: Request, **options: Any) -> Environ:
    """The environment that a program gets."""
    found = list[Environ]()

    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        found.append(environ)
        return returning(b"")(environ, start_response)  # type: ignore[no-any-return]

    on_loop(ran(program, asked, **options))
    return found[0]


def test_the_environment_is_that_of_the_pep() -> None:
    fields = (
        ("Host", "example.org:8080"),
        ("Content-Type", "text/plain"),
        ("Content-Length", "4"),
        ("X-One", "1"),
        ("X_One", "forged"),
        ("X-One", "2"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
    )
    environ = environ_of(request("POST", "/a%20b/%C3%A9?q=%20", *fields, body=b"body", peer="192.0.2.7"))
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    assert texts == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xc3\xa9",
        "QUERY_STRING": "q=%20",
        "REQUEST_URI": "/a%20b/%C3%A9?q=%20",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "trickleweb",
        "REMOTE_ADDR": "192.0.2.7",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "4",
        "HTTP_HOST": "example.org:8080",
        "HTTP_X_ONE": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.url_scheme": "http",
    }
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.errors"] is sys.stderr
    told = ("wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once", "wsgi.input_terminated")
    assert [environ[name] for name in told] == [True, True, False, True]


def test_a_program_may_be_mounted() -> None:
    environ = environ_of(request("GET", "/old/%C3%A9/x").below("/x", {}), script_name="/here")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/here/old/\xc3\xa9", "/x")


BODY = b"first line\nsecond line\n" + bytes(100_000) + b"\nlast"


def pieces() -> AsyncIterator[bytes]:
    return slow(*(BODY[at : at + 997] for at in range(0, len(BODY), 997)))


@pytest.mark.parametrize(
    "read",
    [
        lambda file: file.read(),
        lambda file: b"".join(iter(lambda: file.read(1000), b"")),
        b"".join,
        lambda file: b"".join(file.readlines()),
        lambda file: b"".join(iter(file.readline, b"")),
        lambda file: file.read(len(BODY)) + file.read(),
    ],
)
@pytest.mark.parametrize("body", [lambda: BODY, pieces], ids=["whole", "pieces"])
def test_the_body_is_a_file(read: Callable[[Any], bytes], body: Callable[[], Any]) -> None:
    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [read(environ["wsgi.input"])]

    asked = request("POST", "/", ("Transfer-Encoding", "chunked"), body=body())
    assert on_loop(ran(program, asked))[1] == BODY
