"""A ledger that cannot be written, as on a full disk: what is refused, what is sent, and what is recorded later."""

import os

import pytest

from tests.support.offered import offered
from tests.support.origins import event, get, output, status
from tests.support.programs import Fleet, asked, begun, settled, with_fleet
from trickles.service import Refusal
from trickleweb import App, Request, Response
from trickleweb.ledger import Claim, LedgerAway, LedgerUnwritable, Pending, request_key
from trickleweb.server import unsafe
from trickleweb.stores import MemoryLedger

KEY = request_key(b"12345678", 0)


def post(data: bytes) -> bytes:
    return get("/echo", f"Content-Length: {len(data)}", method="POST") + data


POST = post(b"12345")


def shared(fleet: Fleet) -> App:
    app = offered()
    fleet.make = lambda: app
    return app


class Unwritable(MemoryLedger):
    """A ledger whose disk is full from the call of that name on, until it has `room`."""

    def __init__(self, fleet: Fleet, since: str) -> None:
        super().__init__(fleet.memory, "0")
        self.since = since
        self.room = False

    async def claim(self, key: bytes, *, now: int) -> Claim:
        if self.since == "claim" and not self.room:
            raise LedgerUnwritable("the disk is full")
        return await super().claim(key, now=now)

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        if not self.room:
            raise LedgerUnwritable("the disk is full")
        return await super().complete(key, plan, now=now)


class Away(Unwritable):
    """A ledger that this replica cannot reach."""

    async def claim(self, key: bytes, *, now: int) -> Claim:
        raise LedgerAway("no reply in time")


def test_a_replica_that_cannot_reach_the_ledger_speaks_for_itself_only() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        origin = fleet.replica(Away(fleet, "claim"))
        for _ in range(3):
            assert (await asked(origin, event(POST))).refusal is Refusal.ENDING, "the client asks the others"
            fleet.now_us += 1_000_000
        response, _ = await begun(origin, POST)
        assert status(response) == 503
        assert b"Retry-After: 1" in response
        assert b"cannot be reached from here now, so nothing was done here" in response
        assert app.state.ran == []

    with_fleet(offered, test)


def test_what_cannot_be_recorded_is_refused_before_it_is_run() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        ledger = Unwritable(fleet, "claim")
        origin = fleet.replica(ledger)
        response, known = await begun(origin, POST)
        assert status(response) == 503
        assert b"Retry-After: 1" in response
        assert app.state.ran == []
        assert [type(each) for each in fleet.errors] == [LedgerUnwritable]
        ledger.room = True
        assert status(output(await asked(origin, event(POST, known)))) == 200, "the next request of the connection"

    with_fleet(offered, test)


@pytest.mark.parametrize(("data", "code"), [(b"12345", 200), (bytes(5000), 500)])
def test_the_response_of_a_claimed_request_is_sent_although_it_cannot_be_recorded(
    data: bytes, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody runs it again meanwhile, and the ledger has it as soon as it has room."""
    monkeypatch.setattr(unsafe, "_AGAIN_S", 0)

    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        ledger = Unwritable(fleet, "complete")
        one, other = fleet.replica(ledger), MemoryLedger(fleet.memory, "other")
        request = post(data)
        assert status((await begun(one, request))[0]) == code
        await settled()
        assert await other.claim(KEY, now=1) == Pending()
        ledger.room = True
        while await other.find(KEY) is None:
            await settled()
        assert status((await begun(fleet.replica(other), request))[0]) == code
        assert app.state.ran == ["POST /echo"]

    with_fleet(offered, test)


def test_a_long_safe_request_that_cannot_be_recorded_is_refused() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica(Unwritable(fleet, "complete"))
        response, _ = await begun(origin, get("/stream", f"X-Long: {os.urandom(1500).hex()}"))
        assert status(response) == 503

    with_fleet(streaming, test)


def test_a_request_whose_input_was_lost_is_refused_although_that_cannot_be_recorded() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica(Unwritable(fleet, "claim"))
        response = output(await asked(origin, event()._replace(input_lost=True)))
        assert status(response) == 503
        assert b"its outcome is unknown" in response

    with_fleet(offered, test)


def streaming() -> App:
    app = App()

    @app.get("/stream")
    def stream(_: Request) -> Response:
        return Response.stream([b"x"] * 10)

    return app
