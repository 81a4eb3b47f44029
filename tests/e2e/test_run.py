"""Programs of others served by `trickleweb run`, to curl, while their replicas are killed."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.fastapi_program import LARGE
from tests.support.processes import PATIENCE_SECONDS, Program
from tests.support.served import ANY_PORT, Served, running
from tests.support.system import require
from trickles.httpx import Fleet, TricklesTransport

pytestmark = pytest.mark.e2e
FASTAPI, FLASK = "tests.support.fastapi_program:prepare", "tests.support.flask_program:app"


def curl(*words: str) -> bytes:
    """What curl prints; it fails when a transfer breaks off."""
    command = [require("curl"), "--silent", "--show-error", "--max-time", str(PATIENCE_SECONDS), *words]
    return subprocess.run(command, check=True, capture_output=True, timeout=2 * PATIENCE_SECONDS).stdout


def said(fleet: Served, text: str) -> None:
    """Wait until the fleet has said that on stderr."""
    while text not in fleet.program.errors.next():
        pass


def download_through_kills(fleet: Served, path: str, replicas: int) -> bytes:
    """The body at a path, slowly, with each replica killed once in the middle: the next when the last one is back."""
    words = ["--silent", "--show-error", "--limit-rate", "400k", "--max-time", "60", fleet.url + path]
    with subprocess.Popen([require("curl"), *words], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        data = client.stdout.read(10_000)
        for index in range(replicas):
            os.kill(fleet.pid(f"replica-{index}"), signal.SIGKILL)
            said(fleet, f"replica-{index} is back")
        data += client.stdout.read()
        assert client.wait(PATIENCE_SECONDS) == 0
    return data


@pytest.fixture(scope="module")
def fastapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running(FASTAPI, tmp_path_factory.mktemp("run"), "--factory", "--replicas", 2, "--max-body", "3M") as fleet:
        yield fleet


def test_a_program_says_what_it_is(fastapi: Served) -> None:
    assert f"serves {FASTAPI} through 2 replicas" in fastapi.announcement
    assert json.loads(curl(fastapi.url + "/")) == {"hello": "w\xf6rld"}
    told = json.loads(curl(fastapi.url + "/scope?a=%20", "--header", "X-One: 1"))
    assert (told["raw_path"], told["query"], told["started"]) == ("/scope", "a=%20", 1)


@pytest.mark.parametrize("path", ["/plain-stream", "/file"])
def test_a_download_survives_the_death_of_every_replica(fastapi: Served, path: str) -> None:
    assert download_through_kills(fastapi, path, 2) == LARGE


def test_uploads_of_any_framing_reach_the_program(fastapi: Served, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(LARGE)
    told = {"size": len(LARGE), "sum": sum(LARGE)}
    url = fastapi.url + "/stream-in"
    assert json.loads(curl("--upload-file", str(tmp_path / "upload"), url)) == told
    assert json.loads(curl("--header", "Transfer-Encoding: chunked", "-T", str(tmp_path / "upload"), url)) == told


def test_httpx_uploads_without_a_gateway(fastapi: Served) -> None:
    fleet = Fleet(fastapi.udp, server_key=fastapi.run_dir / "server.pub")

    def pieces() -> Iterator[bytes]:
        for index, start in enumerate(range(0, len(LARGE), 400_000)):
            if index < 2:
                os.kill(fastapi.pid(f"replica-{index}"), signal.SIGKILL)
                said(fastapi, f"replica-{index} is back")
            yield LARGE[start : start + 400_000]

    with httpx.Client(transport=TricklesTransport(fleet), timeout=PATIENCE_SECONDS) as client:
        for content in (LARGE, pieces()):
            answer = client.put("http://program.example/stream-in", content=content)
            assert answer.json() == {"size": len(LARGE), "sum": sum(LARGE)}


def test_a_body_over_the_limit_is_refused(fastapi: Served, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(bytes(4 << 20))
    words = ("--output", os.devnull, "--write-out", "%{http_code}", "-T", str(tmp_path / "upload"))
    assert curl(*words, fastapi.url + "/stream-in") == b"413"


def test_an_exception_is_a_500_and_told(fastapi: Served) -> None:
    words = ("--output", os.devnull, "--write-out", "%{http_code}")
    assert curl(*words, fastapi.url + "/boom") == b"500"
    said(fastapi, "LookupError: boom")


def test_a_program_for_wsgi_is_served_through_kills(tmp_path: Path) -> None:
    with running(FLASK, tmp_path / "run", "--wsgi", "--replicas", 2) as fleet:
        assert json.loads(curl(fleet.url + "/")) == {"hello": "flask"}
        assert json.loads(curl("--data-binary", "abc", fleet.url + "/upload")) == {"size": 3, "sum": 294}
        assert download_through_kills(fleet, "/stream", 2) == LARGE


def test_replicas_tell_what_they_do(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    words = ["--access-log", log, "--access-log-format", "json", "--log-format", "json", "--admin", ANY_PORT]
    words += ["--forwarded-allow-ips", "127.0.0.1", "--replicas", 1, "--factory"]
    with running(FASTAPI, tmp_path / "run", *words) as fleet:
        curl("--header", "X-Forwarded-For: 192.0.2.7", "--header", "X-Request-ID: mine", fleet.url + "/items/7")
        curl(fleet.url + "/boom")
        while not (line := fleet.program.errors.next()).startswith("{"):
            pass
        admin = json.loads((fleet.run_dir / "replica-0.json").read_text())["admin"]
        assert curl(f"http://{admin}/health") == b"ok\n"
        metrics = curl(f"http://{admin}/metrics").decode()
    first, second = map(json.loads, log.read_text().splitlines())
    assert (first["client"], first["target"], first["request_id"]) == ("192.0.2.7", "/items/7", "mine")
    error = json.loads(line)
    assert (error["message"], error["target"], error["request_id"]) == ("boom", "/boom", second["request_id"])
    assert 'trickleweb_responses_total{status="500"} 1' in metrics.splitlines()
    assert "trickleweb_errors_total 1" in metrics.splitlines()
    assert "trickleweb_response_seconds_count 2" in metrics.splitlines()


PROGRAM = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-version", b"VERSION")]})
    for number in range(2000):
        await send({"type": "http.response.body", "body": b"%09d" % number * 100, "more_body": True})
    await send({"type": "http.response.body"})
"""
DOWNLOAD = b"".join(b"%09d" % number * 100 for number in range(2000))


def test_new_code_is_taken_in_the_middle_of_a_download(tmp_path: Path) -> None:
    code = tmp_path / "code" / "main.py"
    code.parent.mkdir()
    code.write_text(PROGRAM.replace("VERSION", "one"))
    words = ("--reload", "--replicas", 2, "--app-dir", code.parent)
    with running("main:app", tmp_path / "run", *words) as fleet:
        limited = [require("curl"), "--silent", "--show-error", "--limit-rate", "400k", "--max-time", "60", fleet.url]
        with subprocess.Popen(limited, stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            data = client.stdout.read(10_000)
            code.write_text("this is no Python")
            while (
                "the replicas are not replaced: importing main failed: SyntaxError" not in fleet.program.errors.next()
            ):
                pass
            code.write_text(PROGRAM.replace("VERSION", "second"))
            said(fleet, "all replicas run the new code")
            data += client.stdout.read()
            assert client.wait(PATIENCE_SECONDS) == 0
        assert data == DOWNLOAD
        assert b"x-version: second" in curl("--include", fleet.url)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nothing_here:app"], "replica-0 did not start: there is no module nothing_here in "),
        (["tests.support.fastapi_program:LARGE"], "is a bytes, not an ASGI or WSGI program"),
        ([FASTAPI], "takes no arguments: use --factory"),
        ([FASTAPI, "--factory", "--access-log", "/nowhere/log"], "the access log /nowhere/log cannot be written"),
    ],
)
def test_what_cannot_be_served_ends_the_command_with_one_line(tmp_path: Path, words: list[str], why: str) -> None:
    where = ("--listen", ANY_PORT, "--udp", ANY_PORT, "--run-dir", tmp_path / "run", "--replicas", 1)
    with Program("trickleweb", "run", *words, *where) as program:
        assert program.wait() == 1
        (line,) = program.errors.rest().splitlines()
    assert line.startswith("trickleweb run: ")
    assert why in line
