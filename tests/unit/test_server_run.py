"""Applications that break off, or give no response: a 500 that is reported."""

import asyncio
from typing import Any

import pytest

from tests.support.offered import offered
from tests.support.origins import get, status
from tests.support.programs import Fleet, begun, with_fleet
from trickleweb import App, Request
from trickleweb.application import Terms


@pytest.mark.parametrize("path", ["/broken", "/cancelled", "/exit", "/group"])
def test_a_handler_that_breaks_off_is_a_500_and_logged(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test(fleet: Fleet) -> None:
        response, _ = await begun(fleet.replica(), get(path))
        assert status(response) == 500
        assert b"oops" not in response
        assert not fleet.errors
        assert [record.getMessage() for record in caplog.records] == [f"GET {path} failed"]

    with_fleet(offered, test)


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_an_application_that_breaks_off_is_a_500_and_told(error: type[BaseException]) -> None:
    class Odd(App):
        async def respond(self, request: Request) -> Any:
            raise error

    class Odder(Odd):
        def terms(self, head: object) -> Terms:
            raise error

    async def test(fleet: Fleet) -> None:
        response, _ = await begun(fleet.replica(), get("/"))
        assert status(response) == 500
        assert [str(each) for each in fleet.errors] == [f"the application ended with {error()!r}"]

    with_fleet(Odd, test)
    with_fleet(Odder, test)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_application_that_gives_no_response_is_a_500_and_told(method: str) -> None:
    class Odd(App):
        async def respond(self, request: Request) -> Any:
            return "text"

        def terms(self, head: object) -> Terms:
            return Terms()

    async def test(fleet: Fleet) -> None:
        response, _ = await begun(fleet.replica(), get(method=method))
        assert status(response) == 500
        assert [str(each) for each in fleet.errors] == ["the application answered with str"]

    with_fleet(Odd, test)
