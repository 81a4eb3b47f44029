"""Forms in several steps in handlers: they go on on any replica, for their principal, and finish once."""

import asyncio
from typing import Any

import pytest

from tests.support.fleetkeys import WALL, ring
from trickleweb import App, HTTPError, Request
from trickleweb.app import WizardForm
from trickleweb.ledger import Ledger
from trickleweb.plain import NotPlain
from trickleweb.stores import MemoryLedger, SharedMemory
from trickleweb.testing import AsyncClient, Client
from trickleweb.wizard import HOUR, Wizard

ORDER = Wizard("order", ("address", "payment", "confirm"))


class Shop:
    """What the orders lead to; `outcome` is returned or raised by the next one."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.outcome: Any = {"order": 1}
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    def app(self) -> App:
        app = App()

        @app.route("/order/{user}", methods=["GET", "POST"])
        async def order(request: Request, user: str) -> Any:
            form = WizardForm(ORDER, request, principal=user)

            async def place() -> Any:
                self.begun.set()
                await self.gate.wait()
                if isinstance(self.outcome, Exception):
                    raise self.outcome
                self.orders.append(form.state.answers)
                return self.outcome

            if request.method == "POST" and form.is_last:
                return await form.finish(place)
            if request.method == "POST":
                form.answer(**{form.step: request.form()["answer"]})
            return {"step": form.step, "wizard": form.token}

        return app


def replica(shop: Shop, ledger: Ledger, now: int = WALL) -> Client:
    return Client(shop.app(), keyring=ring, ledger=ledger, now=lambda: now)


def last_page(shop: Shop, ledger: Ledger) -> dict[str, Any]:
    page = replica(shop, ledger).get("/order/anna").json()
    assert page["step"] == "address"
    for answer, following in (("Bern", "payment"), ("card", "confirm")):
        page = replica(shop, ledger).post("/order/anna", data={**page, "answer": answer}).json()
        assert page["step"] == following
    return dict(page)


def test_it_goes_on_on_other_replicas_and_finishes_once() -> None:
    shop, ledger = Shop(), MemoryLedger()
    page = last_page(shop, ledger)
    assert [replica(shop, ledger).post("/order/anna", data=page).json() for _ in range(3)] == [{"order": 1}] * 3
    assert shop.orders == [{"address": "Bern", "payment": "card"}]


def test_going_back_a_step_is_no_second_run() -> None:
    shop, ledger = Shop(), MemoryLedger()
    page = replica(shop, ledger).get("/order/anna").json()
    ends = []
    for city in ("Bern", "Basel"):
        second = replica(shop, ledger).post("/order/anna", data={**page, "answer": city}).json()
        ends.append(replica(shop, ledger).post("/order/anna", data={**second, "answer": "card"}).json())
    for end in ends:
        assert replica(shop, ledger).post("/order/anna", data=end).json() == {"order": 1}
    assert shop.orders == [{"address": "Bern", "payment": "card"}]


@pytest.mark.parametrize("bad", ["forged", "another's", "expired", "empty"])
def test_a_page_that_cannot_be_used_is_refused_without_a_reason(bad: str) -> None:
    shop, ledger = Shop(), MemoryLedger()
    page = last_page(shop, ledger)
    if bad in ("forged", "empty"):
        page["wizard"] = page["wizard"][:-4] + "AAAA" if bad == "forged" else ""
    client = replica(shop, ledger, now=WALL + HOUR if bad == "expired" else WALL)
    answer = client.post("/order/bert" if bad == "another's" else "/order/anna", data=page)
    assert answer.status_code == 400
    assert answer.text == "400 Bad Request\nThis page is no longer valid: reload it.\n"
    assert shop.orders == []


@pytest.mark.parametrize(("error", "status"), [(HTTPError(402, "No money."), 402), (KeyError("x"), 500), ({1}, 500)])
def test_work_that_fails_can_be_done_again(error: Any, status: int) -> None:
    shop, ledger = Shop(), MemoryLedger()
    page = last_page(shop, ledger)
    shop.outcome = error
    client = Client(shop.app(), keyring=ring, ledger=ledger, now=lambda: WALL, raise_server_exceptions=False)
    assert client.post("/order/anna", data=page).status_code == status
    shop.outcome = {"order": 2}
    assert replica(shop, ledger).post("/order/anna", data=page).json() == {"order": 2}


def test_an_outcome_must_be_plain() -> None:
    shop, ledger = Shop(), MemoryLedger()
    page = last_page(shop, ledger)
    shop.outcome = {1, 2}
    with pytest.raises(NotPlain):
        replica(shop, ledger).post("/order/anna", data=page)


def test_who_comes_while_it_is_being_done_is_told_to_come_again() -> None:
    shop, ledger = Shop(), MemoryLedger()
    page = last_page(shop, ledger)

    async def twice() -> None:
        shop.gate = asyncio.Event()
        client = AsyncClient(shop.app(), keyring=ring, ledger=ledger, now=lambda: WALL)
        first = asyncio.create_task(client.post("/order/anna", data=page))
        await shop.begun.wait()
        second = await client.post("/order/anna", data=page)
        assert (second.status_code, second.headers["retry-after"]) == (503, "1")
        shop.gate.set()
        assert (await first).json() == {"order": 1}

    asyncio.run(twice())


def test_a_replica_that_died_at_it_leaves_it_unknown() -> None:
    shared = SharedMemory()
    shop = Shop()
    page = last_page(shop, MemoryLedger(shared, "dying"))

    async def dying() -> None:
        shop.gate = asyncio.Event()
        client = AsyncClient(shop.app(), keyring=ring, ledger=MemoryLedger(shared, "dying"), now=lambda: WALL)
        task = asyncio.create_task(client.post("/order/anna", data=page))
        await shop.begun.wait()
        shared.dead.add("dying")
        answer = await AsyncClient(
            shop.app(), keyring=ring, ledger=MemoryLedger(shared, "other"), now=lambda: WALL
        ).post("/order/anna", data=page)
        assert (answer.status_code, answer.text.splitlines()[1][:23]) == (500, "The outcome is unknown,")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(dying())
    assert shop.orders == []
