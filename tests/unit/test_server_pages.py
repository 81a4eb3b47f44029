"""Pages that differ from run to run are taken from the replica that made them, as long as they are kept."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from tests.support.origins import event, get, output
from tests.support.programs import Fleet, asked, begun, with_fleet
from trickles.service import Continuation, Refusal, Reply
from trickleweb import App, Request, Response
from trickleweb.response_store import Pages
from trickleweb.server.start import MAX_PAGE_BYTES
from trickleweb.stores import MemoryPages
from trickleweb.testing import run_chaos

PAGE = get("/")


class Watched:
    """Pages that a test may lose or damage."""

    def __init__(self, kept: Pages) -> None:
        self._kept = kept
        self.keys: list[bytes] = []
        self.damage = False

    def put(self, key: bytes, data: bytes) -> None:
        self.keys.append(key)
        self._kept.put(key, data)

    def get(self, key: bytes) -> bytes | None:
        found = self._kept.get(key)
        return found if found is None or not self.damage else found[:-100] + bytes(100)


def form(size: int = 5000) -> App:
    """A page with a fresh token and cookie each time; `state.ran` counts."""
    app = App()
    app.state.ran = 0

    @app.get("/")
    async def page(_request: Request) -> Response:
        app.state.ran += 1
        token = secrets.token_hex(16)
        text = f"<input value={token}>{'x' * size}"
        return Response.html(text, headers=(("Set-Cookie", f"csrf={token}"),))

    return app


async def rest(fleet: Fleet, known: Continuation, start: int) -> Reply:
    """What another replica gives of a page of which `start` bytes have arrived."""
    return await asked(fleet.replica(), event(b"", known, (start, known.stop or 0)))


def test_another_replica_goes_on_with_the_page_that_was_made() -> None:
    async def test(fleet: Fleet) -> None:
        app = form()
        fleet.make = lambda: app
        whole, known = await begun(fleet.replica(), PAGE)
        for start in (0, 10, 1000, len(whole) - 1):
            assert output(await rest(fleet, known, start)) == whole[start:]
        assert app.state.ran == 1

    with_fleet(App, test)


@pytest.mark.parametrize("loss", ["lost", "damaged", "too long"])
def test_a_page_that_is_not_kept_is_made_again_and_never_mixed(loss: str) -> None:
    async def test(fleet: Fleet) -> None:
        app = form(MAX_PAGE_BYTES if loss == "too long" else 5000)
        fleet.make = lambda: app
        pages = fleet.pages = Watched(MemoryPages())
        _, known = await begun(fleet.replica(), PAGE)
        pages.damage = loss == "damaged"
        if loss == "lost":
            fleet.pages = MemoryPages()
        assert await rest(fleet, known, 1000) == Reply(refusal=Refusal.NOT_HERE)
        assert app.state.ran == 2
        assert len(pages.keys) == (loss != "too long")

    with_fleet(App, test)


def test_two_runs_of_a_request_never_share_a_page() -> None:
    async def test(fleet: Fleet) -> None:
        pages = fleet.pages = Watched(MemoryPages())
        pair = await asyncio.gather(*[begun(each, PAGE) for each in fleet.two()])
        assert len(set(pages.keys)) == 2
        for whole, known in pair:
            assert output(await rest(fleet, known, 0)) == whole

    with_fleet(form, test)


def test_small_pages_travel_with_their_client() -> None:
    async def test(fleet: Fleet) -> None:
        pages = fleet.pages = Watched(MemoryPages())
        whole, known = await begun(fleet.replica(), PAGE)
        assert output(await rest(fleet, known, 0)) == whole
        assert pages.keys == []

    with_fleet(lambda: form(100), test)


def test_a_page_with_a_token_survives_a_kill_after_any_packet() -> None:
    verdict = run_chaos(form, PAGE)
    assert not verdict.steady
    assert verdict.resumes, verdict.breaks
    assert verdict.kills > 4
