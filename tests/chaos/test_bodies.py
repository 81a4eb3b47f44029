"""Every kind of body, a replica killed behind every packet of it: the client gets the same bytes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from trickleweb import App, Request, Response
from trickleweb.bodies import Level, Step
from trickleweb.bodies.steps import Data
from trickleweb.plain import Plain
from trickleweb.testing import Verdict, get, run_chaos

ROWS = 800


def app() -> App:
    """One route for each kind of body."""
    made = App()
    add_complete(made)
    add_streams(made)
    add_steps(made)
    add_uploads(made)
    return made


def add_complete(made: App) -> None:

    @made.get("/short")
    async def short(request: Request) -> str:
        return f"handled at {request.now}, {request.entropy('word').hex()}"

    @made.get("/long")
    async def long(request: Request) -> bytes:
        return b"".join(b"%d %s\n" % (at, request.entropy("line")) for at in range(400))


def add_streams(made: App) -> None:
    @made.get("/plain")
    def plain(request: Request) -> Response:
        return Response.stream(line(at) for at in range(ROWS))

    @made.get("/stream")
    async def stream(request: Request) -> Response:
        return Response.stream(lines(), media_type="text/plain")

    @made.get("/slow")
    async def slow(request: Request) -> Response:
        return Response.stream(ticks(), media_type="text/event-stream")


def add_steps(made: App) -> None:
    @made.steps("rows")
    async def rows(cursor: int, total: int) -> AsyncIterator[Step]:
        while cursor < total:
            yield line(cursor), cursor + 1
            cursor += 1

    @made.steps.stepping("pages")
    def pages(cursor: int) -> tuple[Data, Plain] | None:
        return (b"".join(line(cursor * 100 + at) for at in range(100)), cursor + 1) if cursor < 8 else None

    @made.get("/stepped")
    async def stepped(request: Request) -> Response:
        return Response.stepped(rows.at(0, total=ROWS), media_type="text/csv")

    @made.get("/stepping")
    async def stepping(request: Request) -> Response:
        return Response.stepped(pages.at(0))


def add_uploads(made: App) -> None:
    @made.post("/echo", repeatable=True)
    async def echo(request: Request) -> bytes:
        return request.body

    @made.post("/streaming", stream=True, repeatable=True, max_body_bytes=1 << 20)
    async def streaming(request: Request) -> dict[str, int]:
        return {"got": sum([len(piece) async for piece in request.stream()])}


def line(at: int) -> bytes:
    return b"%07d is the number of this line\n" % at


async def lines() -> AsyncIterator[bytes]:
    for at in range(ROWS):
        yield line(at)


async def ticks() -> AsyncIterator[str]:
    for at in range(12):
        await asyncio.sleep(0)
        yield f"data: {at}\n\n"


def checked(verdict: Verdict, most: int = 64) -> Verdict:
    assert verdict.breaks == ()
    assert verdict.errors == ()
    assert verdict.steady
    assert verdict.resumes
    assert verdict.status == 200
    assert verdict.kills == 2 * min(verdict.packets, most)
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "level"),
    [
        ("/short", Level.ADDRESSABLE),
        ("/long", Level.ADDRESSABLE),
        ("/plain", Level.REPLAYED),
        ("/stream", Level.REPLAYED),
        ("/slow", Level.REPLAYED),
        ("/stepped", Level.STEPPED),
        ("/stepping", Level.STEPPED),
    ],
)
def test_a_response_is_the_same_whoever_dies(path: str, level: Level) -> None:
    assert checked(run_chaos(app, get(path))).level is level


def test_a_head_without_its_body_is_the_same_whoever_dies() -> None:
    for path in ("/short", "/stream", "/stepped"):
        assert checked(run_chaos(app, get(path, method="HEAD"))).size_bytes < 400


@pytest.mark.slow
def test_a_body_for_a_client_that_knows_no_chunks_is_the_same_whoever_dies() -> None:
    for path in ("/stream", "/stepped"):
        checked(run_chaos(app, get(path).replace(b"HTTP/1.1", b"HTTP/1.0"), most_boundaries=20), 20)


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 30_000])
def test_what_answers_an_upload_is_the_same_whoever_dies(size: int) -> None:
    checked(run_chaos(app, get("/echo", method="POST", body=bytes(size))))
    checked(run_chaos(app, get("/streaming", method="POST", body=bytes(size))))


@pytest.mark.slow
def test_a_request_larger_than_any_packet_is_run_again_from_the_ledger() -> None:
    cookies = "; ".join(f"name{at}={at:0100d}" for at in range(30))
    verdict = checked(run_chaos(app, get("/stream", f"Cookie: {cookies}"), most_boundaries=20), 20)
    assert verdict.level is Level.REPLAYED


@pytest.mark.slow
def test_files_of_a_mounted_folder_are_the_same_whoever_dies(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes(b"".join(map(line, range(1_000))))

    def files() -> App:
        made = App()
        made.mount("/files", tmp_path)
        return made

    verdict = run_chaos(files, get("/files/data.txt"), most_boundaries=20)
    assert (verdict.status, verdict.breaks) == (200, ())


UNIQUE = count()


def restless() -> App:
    """Handlers that give other bytes each time, of their own making."""
    made = App()

    @made.get("/short")
    async def short(request: Request) -> str:
        return f"number {next(UNIQUE)}"

    @made.get("/long")
    async def long(request: Request) -> str:
        return f"number {next(UNIQUE):06}" * 2_000

    @made.get("/stream")
    async def stream(request: Request) -> Response:
        return Response.stream(numbered())

    return made


def numbered() -> Iterator[bytes]:
    mine = next(UNIQUE)
    return (b"%06d making, line %06d\n" % (mine, at) for at in range(ROWS))


def test_short_responses_need_not_be_made_again() -> None:
    verdict = run_chaos(restless, get("/short"))
    assert not verdict.steady
    assert verdict.resumes


@pytest.mark.slow
def test_pages_are_kept_for_other_replicas() -> None:
    verdict = run_chaos(restless, get("/long"), most_boundaries=20)
    assert not verdict.steady
    assert verdict.resumes


@pytest.mark.slow
def test_what_cannot_be_made_again_breaks_off() -> None:
    verdict = run_chaos(restless, get("/stream"), most_boundaries=20)
    assert not verdict.steady
    assert verdict.breaks
    assert all("broke off" in each.why for each in verdict.breaks)
