"""Logs of replicas: lines that nothing can forge, files that are rotated, errors with their requests."""

import asyncio
import json
import logging
import os
import select
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleetkeys import WALL
from tests.support.loop import on_loop
from tests.support.web import head, request
from trickleweb import App, Request, Response
from trickleweb.asgi.hosted import log_error
from trickleweb.messages import RequestHead
from trickleweb.server import Answered
from trickleweb.telemetry import AccessLog, ErrorHandler, ErrorLog, LogFile, Named, trusted
from trickleweb.telemetry.errorlog import PER_SECOND

BROWSER = (("User-Agent", 'a "browser" \\'), ("Referer", "http://example.org/"))


def answered(asked: RequestHead | None, **fields: Any) -> Answered:
    told = {"status": 200, "body_bytes": 5, "peer": "192.0.2.1", "began_us": 1_000_000_000_000_123, "took_us": 250}
    return Answered(head=asked, **{**told, "resumed": False, **fields})


def lines(form: str, *answers: Answered, peers: str = "") -> list[str]:
    told = list[str]()
    log = AccessLog(told.append, form, trusted(peers))
    for each in answers:
        log(each)
    return told


def test_the_common_form_is_apaches() -> None:
    told = lines("common", answered(head("GET", "/a?b=c", *BROWSER)), answered(None, status=400, body_bytes=None))
    assert told == [
        '192.0.2.1 - - [09/Sep/2001:01:46:40 +0000] "GET /a?b=c HTTP/1.1" 200 5',
        '192.0.2.1 - - [09/Sep/2001:01:46:40 +0000] "-" 400 -',
    ]


def test_the_combined_form_has_the_browser_too() -> None:
    told = lines("combined", answered(head("GET", "/", *BROWSER)), answered(head()), answered(None))
    assert told[0].endswith(r' 200 5 "http://example.org/" "a \"browser\" \\"')
    assert [line.endswith(' 200 5 "-" "-"') for line in told[1:]] == [True, True]


def test_what_a_client_sends_cannot_forge_a_line() -> None:
    (told,) = lines("combined", answered(head("GET", "/", ("User-Agent", "caf\xe9\t\x85"))))
    assert told.endswith(r'"caf\xe9\x09\x85"')
    (told,) = lines("json", answered(head("GET", "/", ("User-Agent", "caf\xe9\t\x85"))))
    assert told.isascii()
    assert json.loads(told)["user_agent"] == "caf\xe9\t\x85"


def test_the_json_form_has_all() -> None:
    (told,) = lines("json", answered(head("POST", "/x", *BROWSER), body_bytes=None))
    assert json.loads(told) == {
        "time": "2001-09-09T01:46:40.000123Z",
        "client": "192.0.2.1",
        "peer": "192.0.2.1",
        "status": 200,
        "body_bytes": None,
        "took_us": 250,
        "resumed": False,
        "method": "POST",
        "target": "/x",
        "host": "example.org",
        "referer": "http://example.org/",
        "user_agent": 'a "browser" \\',
    }


def test_what_is_gone_on_with_is_told_in_json_only() -> None:
    resumed = answered(None, status=0, resumed=True)
    assert lines("combined", resumed) == []
    assert json.loads(lines("json", resumed)[0])["resumed"] is True


def test_the_client_is_who_a_trusted_peer_says() -> None:
    asked = answered(head("GET", "/", ("X-Forwarded-For", "198.51.100.7, 192.0.2.1")))
    assert lines("common", asked)[0].startswith("192.0.2.1 ")
    assert lines("common", asked, peers="192.0.2.1")[0].startswith("198.51.100.7 ")


def test_lines_go_into_a_file_and_after_rotation_into_a_new_one(tmp_path: Path) -> None:
    place = tmp_path / "access.log"
    log, other = LogFile(str(place)), LogFile(str(place))
    log.write("first \ud800")
    other.write("second")
    place.rename(tmp_path / "access.log.1")
    log.write("third")
    log.look_again()
    log.look_again()
    log.write("fourth")
    assert (tmp_path / "access.log.1").read_text() == "first \\ud800\nsecond\nthird\n"
    assert place.read_text() == "fourth\n"
    log.close()
    other.close()


def test_a_file_that_cannot_be_written_is_counted_and_no_error(tmp_path: Path) -> None:
    log = LogFile("/dev/full")
    log.write("lost")
    assert log.lost == 1
    log.close()
    with pytest.raises(OSError, match="No such file"):
        LogFile(str(tmp_path / "nowhere" / "log"))


def test_standard_output_is_a_file_too(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.dup(1), "w") as standard:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr("sys.stdout", standard)
        log = LogFile("-")
        log.look_again()
        log.write("line")
        log.close()
    assert capfd.readouterr().out == "line\n"


def failing(text: str) -> Exception:
    try:
        raise LookupError(text)
    except LookupError as error:
        return error


class Failing(App):
    """An application of which nothing but an error comes."""

    async def respond(self, request: Request) -> Response:
        raise LookupError("in the handler")


async def told_of(asked: Request, errors: ErrorLog) -> None:
    try:
        await Named(Failing()).respond(asked)
    except LookupError as error:
        errors(error)
        await asyncio.create_task(told_later(error, errors))


async def told_later(error: Exception, errors: ErrorLog) -> None:
    errors(error)


def test_an_error_is_told_with_its_request_and_traceback() -> None:
    told = list[str]()
    on_loop(told_of(request("GET", "/a?b", idempotency_key="key"), ErrorLog(told.append, clock=lambda: WALL / 1e6)))
    first, *trace = told[0].splitlines()
    assert first.endswith("Z GET /a?b (key): LookupError: in the handler")
    assert trace[0] == "  Traceback (most recent call last):"
    assert trace[-1] == "  LookupError: in the handler"
    assert told[1] == told[0]  # also in a task that the request's began


def test_an_error_as_json_has_the_same() -> None:
    told, asked = list[str](), request("POST", "/", ("X-Request-ID", "mine"), idempotency_key="key")
    on_loop(told_of(asked, ErrorLog(told.append, as_json=True)))
    fields = json.loads(told[0])
    assert "raise LookupError" in fields.pop("traceback")
    assert fields.pop("time").endswith("Z")
    about = {"method": "POST", "target": "/", "request_id": "mine"}
    assert fields == {"error": "LookupError", "message": "in the handler", **about}


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, 'a"b'])
def test_a_request_id_that_is_none_is_replaced(name: str) -> None:
    told = list[str]()
    asked = request("GET", "/", ("X-Request-ID", name), idempotency_key="key")
    on_loop(told_of(asked, ErrorLog(told.append, as_json=True)))
    assert json.loads(told[0])["request_id"] == "key"


def test_an_errors_text_cannot_forge_a_line() -> None:
    told = list[str]()
    ErrorLog(told.append)(failing("one\n2001-01-01T00:00:00Z forged\x1b[2J"))
    assert all(line.startswith("  ") for line in told[0].splitlines()[1:])
    assert r"one\n2001-01-01T00:00:00Z forged\x1b[2J" in told[0].splitlines()[0]
    assert "\x1b" not in told[0]


def test_of_a_flood_of_errors_some_are_told_and_all_counted() -> None:
    told, seconds = list[str](), iter([5.0] * (PER_SECOND + 7) + [6.0])
    errors = ErrorLog(told.append, as_json=True, clock=lambda: next(seconds))
    for _ in range(PER_SECOND + 8):
        errors(failing("again"))
    assert (len(told), errors.count) == (PER_SECOND + 1, PER_SECOND + 8)
    assert json.loads(told[-1])["left_out"] == 7


def test_what_this_framework_logs_is_told_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told, logger = list[str](), logging.getLogger("trickleweb")
    handler = ErrorHandler(ErrorLog(told.append))
    logger.addHandler(handler)
    monkeypatch.setattr(logger, "propagate", False)
    try:
        log_error(failing("behind the response"))
        logger.warning("without an exception")
        logger.info("of no interest")
    finally:
        logger.removeHandler(handler)
    (line,) = told
    assert "LookupError: behind the response" in line
    assert capsys.readouterr().err == "without an exception\n"


def test_a_log_whose_reader_does_not_read_loses_lines_and_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    log = LogFile(str(tmp_path / "pipe"))
    line = "x" * 999
    while not log.lost:
        log.write(line)
    assert os.read(reader, 1000) == line.encode() + b"\n"
    log.write("y" * select.PIPE_BUF)  # more than a pipe that is ready takes at once
    assert log.lost == 2
    os.close(reader)
    log.write(line)
    assert log.lost == 3
    log.close()
