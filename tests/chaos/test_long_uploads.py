"""Chunked uploads so long that their chunks are looked at on a thread, whoever dies meanwhile."""

import hashlib

import pytest

from trickleweb import App, Request
from trickleweb.server import progress as taking
from trickleweb.testing import run_chaos

PIECE = bytes(range(256)) * 40
PIECES = 12


def app() -> App:
    made = App()

    @made.post("/up", stream=True, repeatable=True, max_body_bytes=len(PIECE) * PIECES)
    async def up(request: Request) -> str:
        digest = hashlib.sha256()
        async for piece in request.stream():
            digest.update(piece)
        return digest.hexdigest()

    return made


def upload(pieces: int, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"POST /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + pieces * (b"%x\r\n%s\r\n" % (len(PIECE), PIECE)) + end


@pytest.fixture(autouse=True)
def short_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "LONG_BYTES", 20_000)


@pytest.mark.slow
def test_a_chunked_upload_arrives_whoever_dies() -> None:
    verdict = run_chaos(app, upload(PIECES), most_boundaries=12)
    assert (verdict.status, verdict.breaks, verdict.errors) == (200, (), ())
    assert verdict.resumes


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [(upload(PIECES + 1), 413), (upload(PIECES, b"x\r\n"), 400), (upload(PIECES, b""), 400)],
    ids=["too long", "bad chunk", "cut"],
)
def test_what_is_wrong_with_a_long_upload_is_told(request_bytes: bytes, status: int) -> None:
    assert run_chaos(app, request_bytes, most_boundaries=2).status == status
