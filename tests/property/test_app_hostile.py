"""Whatever a client sends, it is never the program's fault: no 500, from handlers that check nothing themselves."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb import App, Request, Response
from trickleweb.app import WizardForm
from trickleweb.forms import FormLimits
from trickleweb.middleware import CorsPolicy, basic_auth, compression, cors, csrf_protection, sessions, trusted_hosts
from trickleweb.request import Setting
from trickleweb.testing import Client
from trickleweb.testing.collecting import exchange
from trickleweb.wizard import Wizard

FORM = Wizard("form", ("one", "two"))


async def any_body(request: Request) -> Any:
    """Take the body in the form that the client says it has."""
    kind = request.content_type.value
    if "json" in kind:
        return {"json": request.json()}
    if "form" in kind:
        return [dict(request.form().pairs), [each.safe_name for _, each in request.form().files.pairs]]
    return request.text()


def careless() -> App:
    app = App(form_limits=FormLimits(max_fields=4, max_field_bytes=40, max_file_bytes=40), max_body_bytes=300)
    safe = App(middleware=[trusted_hosts("a.example", "*.b.example"), sessions(), csrf_protection()])
    known = App(middleware=[basic_auth(lambda user, word: None, realm="x"), compression(min_bytes=1)])
    app.add_middleware(cors(CorsPolicy(origins=("https://a.example",), headers=("x-a",))))
    app.mount("/safe", safe)
    app.mount("/known", known)
    app.route("/body", methods=["GET", "POST", "PUT"])(any_body)
    safe.route("/body", methods=["GET", "POST", "PUT"])(any_body)
    known.get("/")(lambda request: "known")

    @app.route("/parts", methods=["POST"], stream=True)
    async def parts(request: Request) -> Any:
        return [type(event).__name__ async for event in request.parts()]

    @app.get("/sealed/{token}")
    async def sealed(request: Request, token: str) -> Any:
        return request.unseal("x", token)

    @app.route("/wizard", methods=["GET", "POST"])
    async def wizard(request: Request) -> Any:
        return WizardForm(FORM, request, principal="anna").step

    @app.get("/query")
    def query(request: Request) -> Any:
        return {"query": dict(request.query.pairs), "cookies": dict(request.cookies), "a": request.accepts("text/html")}

    @app.get("/go")
    async def go(request: Request) -> Response:
        return Response.redirect(request.query["to"]).with_header("X-Host", request.host)

    return app


def lines(*texts: str) -> st.SearchStrategy[str]:
    """One of these, or text that may stand in a header line."""
    return st.sampled_from(texts) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


TARGETS = st.sampled_from(
    ["/body", "/safe/body", "/known/", "/parts", "/wizard", "/query", "/go", "/sealed/x", "/", "/body/", "//a", "*"]
)
QUERIES = st.text("ab=&+%2fFc3;:/\\?", max_size=14)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": lines(
            "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "a/b+json",
            "multipart/form-data", "text/plain; charset=us-ascii", "multipart/form-data; boundary=\"b\"; boundary=c",
        ),
        "Content-Encoding": lines("gzip", "identity"),
        "Cookie": lines("session=x; a=b", "session=" + "A" * 60, '="'),
        "Authorization": lines("Basic YTpi", "Basic ", "Bearer x"),
        "X-CSRF-Token": lines("A" * 43),
        "Origin": lines("https://a.example", "null"),
        "Access-Control-Request-Method": lines("PUT", "GET"),
        "Accept": lines("text/html", "application/json", "*/*;q=x"),
        "Accept-Encoding": lines("gzip", "gzip;q=0, *", "deflate;q=1.5"),
        "Range": lines("bytes=0-1"),
        "Host": lines("a.example", "c.b.example:8080"),
    },
)  # fmt: skip
FRAGMENTS = st.sampled_from(
    [
        b"--b",
        b"\r\n",
        b"--b--",
        b'Content-Disposition: form-data; name="a"',
        b'; filename="f"',
        b"\r\n\r\n",
        b"a=1&",
        b"%",
        b"=",
        b"{",
        b"}",
        b"[",
        b'"a":',
        b"1e9",
        b"NaN",
        b"\xff",
        b"\xc3\xbc",
        b"\x00",
        b"wizard=AAAA",
        b"csrf_token=" + b"A" * 43,
    ]
)
BODIES = st.lists(FRAGMENTS | st.binary(max_size=8), max_size=14)
METHODS = st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"])

CLIENT = Client(careless(), base_url="http://a.example")


@pytest.mark.slow
@given(METHODS, TARGETS, QUERIES, HEADERS, BODIES, st.booleans())
def test_no_client_makes_a_500(
    method: str, path: str, query: str, headers: dict[str, str], body: list[bytes], chunked: bool
) -> None:
    content = list(filter(None, body)) if chunked else b"".join(body)
    answer = CLIENT.request(method, f"{path}?{query}" if query else path, headers=headers, content=content)
    CLIENT.cookies.clear()
    assert answer.status_code < 500 or answer.status_code == 501
    assert "\r" not in "".join(answer.headers.values())


@given(st.binary(max_size=120))
def test_no_bytes_for_a_head_make_a_500(head: bytes) -> None:
    done = asyncio.run(exchange(careless(), b"GET /query?" + head + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"", Setting()))
    assert done.status < 500
