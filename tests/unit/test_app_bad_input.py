"""Hostile requests at handlers that take whatever comes: each gets its status, says nothing, and costs little."""

from typing import Any

import pytest

from trickleweb import App, Request
from trickleweb.forms import FormLimits
from trickleweb.testing import Client

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}


def careless() -> App:
    """Handlers that check nothing."""
    app = App(form_limits=FormLimits(max_fields=20, max_field_bytes=100, max_file_bytes=200), max_body_bytes=5000)

    @app.post("/json")
    async def json(request: Request) -> Any:
        return {"got": request.json()}

    @app.post("/form")
    def form(request: Request) -> Any:
        made = request.form()
        return [made["a"], len(made.files)]

    @app.post("/text")
    async def text(request: Request) -> str:
        return request.text()

    @app.get("/query")
    async def query(request: Request) -> str:
        return request.query["a"]

    @app.post("/parts", stream=True)
    async def parts(request: Request) -> str:
        return str([type(event).__name__ async for event in request.parts()])

    @app.post("/stream", stream=True, max_body_bytes=10)
    async def stream(request: Request) -> str:
        return str(sum([len(piece) async for piece in request.stream()]))

    return app


def part(name: str, data: bytes = b"x", filename: str = "") -> bytes:
    named = f'; filename="{filename}"' if filename else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n"


BAD = [
    ("/json", JSON, b"{", 400),
    ("/json", JSON, b"", 400),
    ("/json", JSON, b"\xff", 400),
    ("/json", JSON, b"NaN", 400),
    ("/json", JSON, b"1e999", 400),
    ("/json", JSON, b"[" * 4000, 400),
    ("/json", JSON, b"9" * 4999, 400),
    ("/json", {"Content-Type": "text/plain"}, b"{}", 415),
    ("/json", {"Content-Type": "a/b/c;;="}, b"{}", 415),
    ("/json", {}, b"{}", 415),
    ("/json", {**JSON, "Content-Encoding": "gzip"}, b"{}", 415),
    ("/json", JSON, b" " * 5001, 413),
    ("/form", FORM, b"b=1", 400),
    ("/form", FORM, b"a=%ff", 400),
    ("/form", FORM, b"\xff=1", 400),
    ("/form", FORM, b"&".join([b"a=1"] * 21), 413),
    ("/form", FORM, b"a=" + b"x" * 101, 413),
    ("/form", JSON, b"{}", 415),
    ("/form", PARTS, b"".join([part("a")] * 21) + b"--b--", 413),
    ("/form", PARTS, part("a", b"x" * 101) + b"--b--", 413),
    ("/form", PARTS, part("a", b"x" * 201, "f") + b"--b--", 413),
    ("/form", PARTS, part("a" * 4100) + b"--b--", 413),
    ("/form", PARTS, part("a"), 400),
    ("/form", PARTS, part("a", b"\xff") + b"--b--", 400),
    ("/form", PARTS, b"--b\r\n\r\n\r\n--b--", 400),
    ("/form", PARTS, b"no parts", 400),
    ("/form", {"Content-Type": "multipart/form-data"}, b"", 400),
    ("/form", {"Content-Type": f"multipart/form-data; boundary={'b' * 71}"}, b"", 400),
    ("/text", {}, b"\xff", 400),
    ("/text", {"Content-Type": "text/plain; charset=utf-7"}, b"+AGE-", 415),
    ("/parts", FORM, b"a=1", 415),
    ("/parts", PARTS, b"".join([part("a")] * 21), 413),
    ("/stream", {}, b"x" * 11, 413),
]


@pytest.mark.parametrize(("path", "headers", "body", "status"), BAD, ids=lambda each: str(each)[:30])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_bad_body_is_the_clients_error(
    path: str, headers: dict[str, str], body: bytes, status: int, chunked: bool
) -> None:
    content = [body[at : at + 700] for at in range(0, len(body), 700)] if chunked else body
    answer = Client(careless()).post(path, headers=headers, content=content)
    assert answer.status_code == status
    assert len(answer.content) < 200
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(("query", "status"), [("", 400), ("b=1", 400), ("a=%ff", 400), ("&".join(["a"] * 21), 413)])
def test_a_bad_query_is_the_clients_error(query: str, status: int) -> None:
    assert Client(careless()).get(f"/query?{query}").status_code == status


def test_what_is_right_passes() -> None:
    client = Client(careless())
    assert client.post("/json", json=[1]).json() == {"got": [1]}
    assert client.post("/form", data={"a": "1"}).json() == ["1", 0]
    assert client.post("/form", data={"a": "1"}, files={"f": b"x" * 200}).json() == ["1", 1]
    assert client.post("/stream", content=[b"x" * 5, b"x" * 5]).text == "10"
    assert client.post("/text", content="ü").text == "ü"
    assert client.post("/parts", files={"f": b"x"}).text == "['PartBegin', 'PartData', 'PartEnd']"


def test_no_handler_runs_for_a_body_over_its_limit() -> None:
    ran: list[str] = []
    app = App(max_body_bytes=3)
    app.post("/")(lambda request: ran.append("ran"))
    assert Client(app).post("/", content=b"1234").status_code == 413
    assert Client(app).post("/", content=[b"12", b"34"]).status_code == 413
    assert ran == []
