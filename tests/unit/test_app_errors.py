"""What goes wrong in a program, and what its clients see of it: handlers by type and status, and no secrets."""

import logging
from collections.abc import Iterator

import pytest

from trickleweb import App, HTTPError, Request, Response
from trickleweb.handlers import Handler
from trickleweb.ledger import LedgerUnavailable
from trickleweb.multidict import MissingField
from trickleweb.sealing import BadSeal
from trickleweb.testing import Client, IncompleteResponse
from trickleweb.topics import TopicsFull, TopicsUnavailable

SECRET = "the password is 1234"


class NotInTable(LookupError):
    """An error of the program's own."""


class NotInOldTable(NotInTable):
    """One below it."""


def raising(error: Exception, *, debug: bool = False) -> App:
    app = App(debug=debug)

    @app.get("/")
    async def fail(request: Request) -> None:
        raise error

    return app


def seen(app: App, **headers: str) -> Client:
    return Client(app, raise_server_exceptions=False, headers=headers)


def test_what_nobody_expected_is_500_without_a_word_about_it(caplog: pytest.LogCaptureFixture) -> None:
    answer = seen(raising(ValueError(SECRET))).get("/")
    assert (answer.status_code, answer.text) == (500, "500 Internal Server Error\n")
    assert answer.headers["cache-control"] == "no-store"
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == ("trickleweb.app", logging.ERROR, "GET / failed")
    assert record.exc_info
    assert record.exc_info[0] is ValueError


def test_the_test_client_raises_it() -> None:
    with pytest.raises(ValueError, match="password"):
        Client(raising(ValueError(SECRET))).get("/")


@pytest.mark.parametrize(("accept", "kind"), [("text/html", "text/html"), ("*/*", "text/plain"), ("", "text/plain")])
def test_the_debug_page_is_escaped(accept: str, kind: str) -> None:
    answer = seen(raising(ValueError("<script>alert(1)</script>"), debug=True), Accept=accept).get("/")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "Traceback" in answer.text
    assert ("<script>" in answer.text) is (kind == "text/plain")


@pytest.mark.parametrize(
    ("error", "status", "content"),
    [
        (HTTPError(410, "I was."), 410, b"410 Gone\nI was.\n"),
        (HTTPError(409), 409, b"conflict\n"),
        (NotInTable("x"), 404, b'{"missing":"x"}'),
        (NotInOldTable("y"), 404, b'{"missing":"y"}'),
        (KeyError("z"), 500, b"sorry: KeyError"),
        (HTTPError(500, "told"), 500, b"sorry: HTTPError"),
    ],
)
def test_handlers_of_errors_by_status_and_by_type(error: Exception, status: int, content: bytes) -> None:
    app = raising(error)

    @app.error(409)
    async def conflict(request: Request, error: HTTPError) -> str:
        return "conflict\n"

    @app.error(NotInTable)
    def missing(request: Request, error: NotInTable) -> Response:
        return Response.json({"missing": str(error)}, status=404)

    @app.error(500)
    def everything(request: Request, error: Exception) -> str:
        return f"sorry: {type(error).__name__}"

    answer = seen(app).get("/")
    assert (answer.status_code, answer.content) == (status, content)


def test_a_handler_for_exception_is_the_last_one() -> None:
    app = raising(NotInTable())
    app.error(Exception)(lambda request, error: "last")
    app.error(LookupError)(lambda request, error: "nearer")
    assert seen(app).get("/").text == "nearer"


def test_the_nearest_handler_answers() -> None:
    app = App()
    app.get("/field")(lambda request: request.query["q"])
    app.get("/seal")(lambda request: request.unseal("x", "y"))
    app.get("/teapot/{status:int}")(lambda request, status: _raise(HTTPError(status)))
    client = Client(app)
    app.error(HTTPError)(lambda request, error: "any")
    assert [client.get(path).text for path in ("/field", "/teapot/418")] == ["any", "any"]
    app.error(400)(lambda request, error: "status")
    assert [client.get(path).text for path in ("/field", "/seal", "/teapot/418")] == ["status", "status", "any"]
    app.error(MissingField)(lambda request, error: "field")
    app.error(BadSeal)(lambda request, error: "seal")
    answers = [client.get(path) for path in ("/field", "/seal", "/teapot/400")]
    assert [each.text for each in answers] == ["field", "seal", "status"]
    assert {each.status_code for each in answers} == {400}


def _raise(error: Exception) -> None:
    raise error


def test_the_fields_that_a_status_asks_for_stay() -> None:
    app = App()
    app.get("/")(lambda request: "")
    app.error(405)(lambda request, error: "no")
    answer = Client(app).post("/")
    assert (answer.status_code, answer.text, answer.headers["allow"]) == (405, "no", "GET, HEAD, OPTIONS")
    app.error(405)(lambda request, error: Response.html("<p>no", status=405, headers=[("X-Own", "1")]))
    answer = Client(app).post("/")
    assert (answer.headers["x-own"], answer.headers["allow"]) == ("1", "GET, HEAD, OPTIONS")
    app.error(405)(lambda request, error: Response.text("no", status=405, headers=[("Allow", "GET")]))
    assert Client(app).post("/").headers["allow"] == "GET"
    app.error(405)(lambda request, error: Response.redirect("/"))
    assert "allow" not in Client(app).post("/").headers


def test_pages_for_what_is_not_there() -> None:
    app = App()
    app.error(404)(lambda request, error: Response.html(f"<p>no {request.path}", status=404))
    assert Client(app).get("/x").text == "<p>no /x"
    assert Client(app).post("/x", content=b"a body").text == "<p>no /x"
    refused = Client(app).post("/x", content=bytes(65_537))  # before it is taken: no handler is asked
    assert (refused.status_code, refused.text) == (404, "404 Not Found\n")
    waiting = Client(app).post("/x", content=b"a body", headers={"Expect": "100-continue"})
    assert waiting.text == "404 Not Found\n"


def test_a_handler_of_errors_that_fails_is_an_error_too(caplog: pytest.LogCaptureFixture) -> None:
    app = raising(KeyError("first"))

    @app.error(KeyError)
    def fail(request: Request, error: KeyError) -> None:
        raise ValueError("second")

    @app.error(500)
    def fail_again(request: Request, error: Exception) -> None:
        raise RuntimeError("third")

    answer = seen(app).get("/")
    assert (answer.status_code, answer.text) == (500, "500 Internal Server Error\n")
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError, RuntimeError]


def test_a_handler_of_errors_may_refuse() -> None:
    app = raising(KeyError("first"))

    @app.error(KeyError)
    def refuse(request: Request, error: KeyError) -> None:
        raise HTTPError(404, "Not there.")

    assert seen(app).get("/").text == "404 Not Found\nNot there.\n"
    app.error(404)(lambda request, error: refuse(request, KeyError()))  # and refuses for ever
    assert seen(app).get("/").text == "404 Not Found\nNot there.\n"


def test_errors_that_the_framework_knows() -> None:
    bad_seal = seen(raising(BadSeal())).get("/")
    assert bad_seal.status_code == 400
    assert bad_seal.text == "400 Bad Request\nThis page is no longer valid: reload it.\n"
    full = seen(raising(LedgerUnavailable(SECRET))).get("/")
    assert (full.status_code, full.headers["retry-after"]) == (503, "1")
    assert SECRET not in full.text
    own = raising(BadSeal())
    own.error(BadSeal)(lambda request, error: Response.redirect("/again"))
    assert seen(own).get("/").headers["location"] == "/again"


@pytest.mark.parametrize(("error", "status"), [(TopicsUnavailable, 503), (TopicsFull, 507)])
def test_topics_that_fail_are_reported_and_the_client_may_try_again(
    error: type[Exception], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    found = seen(raising(error(SECRET))).get("/")
    assert (found.status_code, "retry-after" in found.headers) == (status, status == 503)
    assert SECRET not in found.text
    assert f"GET /: {SECRET}" in caplog.text


def test_middleware_sees_known_errors_as_responses_and_others_pass_through() -> None:
    story: list[object] = []

    def watching(inner: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                response = await inner(request)
            except ValueError as error:
                story.append(error)
                raise
            story.append(response.status)
            return response.with_header("X-Seen", "yes")

        return handle

    for error, status, header in ((HTTPError(403), 403, "yes"), (ValueError("x"), 500, None)):
        app = raising(error)
        app.add_middleware(watching)
        answer = seen(app).get("/")
        assert (answer.status_code, answer.headers.get("x-seen")) == (status, header)
        assert story.pop() in (403, error)
        assert not story


def test_middleware_may_refuse_or_fail_itself() -> None:
    def refusing(inner: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            raise HTTPError(401) if request.query.get("who") else ValueError("middleware")

        return handle

    app = App(middleware=[refusing])
    app.error(401)(lambda request, error: "who are you?")
    client = seen(app)
    assert client.get("/?who=1").text == "who are you?"
    assert client.get("/").status_code == 500


def test_middleware_is_applied_from_outside_in() -> None:
    def adding(letter: str) -> object:
        def wrap(inner: Handler) -> Handler:
            async def handle(request: Request) -> Response:
                request.state["way"] = request.state.get("way", "") + letter
                response = await inner(request)
                return response.with_header("X-Way", response.headers.get("x-way", "") + letter)  # type: ignore[operator]

            return handle

        return wrap

    app = App(middleware=[adding("a"), adding("b")])  # type: ignore[list-item]
    app.add_middleware(adding("c"))  # type: ignore[arg-type]
    app.get("/")(lambda request: request.state["way"])
    answer = Client(app).get("/")
    assert (answer.text, answer.headers["x-way"]) == ("abc", "cba")


@pytest.mark.parametrize("after", [b"", b"first bytes"])
def test_a_body_that_fails_on_its_way_ends_the_transfer(after: bytes) -> None:
    app = App()

    def chunks() -> Iterator[bytes]:
        if after:
            yield after
        raise ValueError(SECRET)

    app.get("/")(lambda request: Response.stream(chunks()))
    with pytest.raises(IncompleteResponse) as caught:
        seen(app).get("/")
    assert caught.value.content == after
    with pytest.raises(ValueError, match="password"):
        Client(app).get("/")
