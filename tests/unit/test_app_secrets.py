"""Sealed things in handlers: sessions, forms in steps, values of one's own; what is wrong with one is never told."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.fleetkeys import WALL, ring
from tests.support.web import head
from trickles.drivers.keystore import init_keystore, rotate_keystore
from trickles.keyring import Keyring
from trickleweb import App, Request, Response
from trickleweb.app import key_directory
from trickleweb.ledger import Done, New
from trickleweb.middleware import csrf_protection, sessions
from trickleweb.plain import NotPlain
from trickleweb.request import NotSetUp, Setting
from trickleweb.stores import MemoryLedger
from trickleweb.testing import Client
from trickleweb.wizard import Wizard

HOUR = 3600 * 1_000_000
OPAQUE = "400 Bad Request\nThis page is no longer valid: reload it.\n"


def sealing() -> App:
    app = App()

    @app.get("/seal")
    async def seal(request: Request) -> str:
        return request.seal("invitation", {"to": "anna"}, ttl=HOUR, principal=request.query.get("who") or "")

    @app.get("/open")
    async def unseal(request: Request) -> Any:
        purpose, who = request.query.get("purpose") or "invitation", request.query.get("who") or ""
        return request.unseal(purpose, request.query["token"], principal=who)

    return app


def client(app: App, keyring: Keyring | None = None, now: int = WALL) -> Client:
    return Client(app, keyring=lambda: keyring or ring(), now=lambda: now)


def test_a_sealed_value_opens_on_any_replica() -> None:
    token = client(sealing()).get("/seal").text
    assert client(sealing()).get("/open", params={"token": token}).json() == {"to": "anna"}
    assert client(sealing(), ring(1, 2)).get("/open", params={"token": token}).json() == {"to": "anna"}


def test_whatever_is_wrong_with_a_seal_looks_the_same() -> None:
    token = client(sealing()).get("/seal", params={"who": "anna"}).text
    good = {"token": token, "who": "anna"}
    assert client(sealing()).get("/open", params=good).is_success
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    answers = [
        client(sealing()).get("/open", params={**good, "token": forged}),
        client(sealing()).get("/open", params={**good, "token": token[:20]}),
        client(sealing()).get("/open", params={**good, "token": ""}),
        client(sealing()).get("/open", params={**good, "token": "ü" * 50}),
        client(sealing()).get("/open", params={**good, "who": "bert"}),
        client(sealing()).get("/open", params={**good, "purpose": "another"}),
        client(sealing(), ring(9)).get("/open", params=good),
        client(sealing(), now=WALL + HOUR).get("/open", params=good),
    ]
    assert {(each.status_code, each.text, str(dict(each.headers))) for each in answers} == {
        (400, OPAQUE, str(dict(answers[0].headers)))
    }


def test_only_plain_values_are_sealed() -> None:
    app = App()
    app.get("/")(lambda request: request.seal("x", {1, 2}, ttl=HOUR))
    with pytest.raises(NotPlain):
        client(app).get("/")


def visiting(**options: Any) -> App:
    app = App(middleware=[sessions(), csrf_protection()], **options)

    @app.route("/", methods=["GET", "POST"])
    async def visit(request: Request) -> Any:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return {"visits": request.session["visits"], "csrf": request.csrf_token()}

    return app


def test_sessions_take_the_fleets_keys() -> None:
    visitor = client(visiting())
    assert [visitor.get("/").json()["visits"] for _ in range(3)] == [1, 2, 3]
    token = visitor.get("/").json()["csrf"]
    assert visitor.post("/").status_code == 403
    assert visitor.post("/", data={"csrf_token": token}).json()["visits"] == 5
    assert visitor.post("/", headers={"X-CSRF-Token": token, "Origin": "http://evil.example"}).status_code == 403


@pytest.mark.parametrize("bad", ["forged", "expired", "foreign"])
def test_a_session_that_cannot_be_used_is_a_new_one(bad: str) -> None:
    first = client(visiting())
    first.get("/")
    cookie = first.cookies["session"]
    keyring, now = (ring(9), WALL) if bad == "foreign" else (ring(), WALL + 1000 * HOUR * (bad == "expired"))
    second = client(visiting(), keyring, now)
    second.cookies["session"] = cookie[:-4] + "AAAA" if bad == "forged" else cookie
    assert second.get("/").json()["visits"] == 1


def test_an_application_may_bring_its_own_keys_and_ledger() -> None:
    ledger, keys = MemoryLedger(), ring(7)
    app = App(keyring=lambda: keys, ledger=ledger)
    app.get("/")(lambda request: [request.keyring is keys, request.ledger is ledger])
    assert client(app).get("/").json() == [True, True]


def test_without_keys_or_ledger_the_way_out_is_named() -> None:
    request = Request(head(), b"", Setting())
    for name in ("keyring", "ledger"):
        with pytest.raises(NotSetUp, match=f"no {name}: outside a fleet give the App one"):
            getattr(request, name)


def test_a_directory_of_keys_is_watched(tmp_path: Path) -> None:
    init_keystore(tmp_path / "keys", now=WALL)
    now_s = [0.0]
    keyring = key_directory(tmp_path / "keys", clock_s=lambda: now_s[0])
    before = keyring()
    rotate_keystore(tmp_path / "keys", now=WALL)
    assert keyring() is before
    now_s[0] = 1.0
    assert len(keyring().epochs) == 2
    for path in (tmp_path / "keys").glob("epoch-*.key"):
        path.chmod(0o644)
    now_s[0] = 2.0
    assert len(keyring().epochs) == 2  # the last good ones
    app = App(keyring=keyring, middleware=[sessions()])
    app.get("/")(lambda request: request.session.setdefault("a", 1) and "seen")
    visitor = Client(app)
    assert "session" in visitor.get("/").cookies


def test_a_directory_of_keys_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=str(tmp_path)):
        key_directory(tmp_path / "none")
    assert not list(tmp_path.iterdir())


ORDER = Wizard("order", ("address", "confirm"))


def ordering(placed: list[Any]) -> App:
    app = App(middleware=[sessions()])

    def page(request: Request, state: Any) -> Any:
        token = ORDER.seal(
            request.keyring,
            state,
            principal=request.session["user"],
            now=request.now,
            entropy=request.entropy("order page"),
        )
        return {"step": state.step, "token": token}

    @app.get("/login/{user}")
    async def login(request: Request, user: str) -> str:
        request.session["user"] = user
        return user

    @app.get("/order")
    async def begin(request: Request) -> Any:
        return page(request, ORDER.begin(entropy=request.entropy("order"), ledger=request.ledger))

    @app.post("/order")
    async def answer(request: Request) -> Any:
        form = request.form()
        state = ORDER.open(request.keyring, form["token"], principal=request.session["user"], now=request.now)
        if not ORDER.is_last(state):
            return page(request, ORDER.answered(state, city=form["city"]))
        match await ORDER.finish(request.ledger, state, now=request.now):
            case New():
                placed.append(state.answers)
                return await ORDER.finished(request.ledger, state, b"order 1", now=request.now)
            case Done(plan=outcome):
                return outcome
        return Response.text("in doubt", status=503)

    return app


def test_a_form_in_steps_is_finished_once_and_by_whom_it_belongs_to() -> None:
    placed: list[Any] = []
    ledger = MemoryLedger()
    anna = Client(ordering(placed), keyring=ring, now=lambda: WALL, ledger=ledger)
    anna.get("/login/anna")
    first = anna.get("/order").json()
    last = anna.post("/order", data={"token": first["token"], "city": "Bern"}).json()
    assert (first["step"], last["step"]) == ("address", "confirm")
    other = Client(ordering(placed), keyring=ring, now=lambda: WALL, ledger=ledger)  # another replica
    other.get("/login/bert")
    stolen = other.post("/order", data={"token": last["token"]})
    assert (stolen.status_code, stolen.text) == (400, OPAQUE)
    other.get("/login/anna")
    assert [each.post("/order", data={"token": last["token"]}).text for each in (anna, other, anna)] == ["order 1"] * 3
    assert placed == [{"city": "Bern"}]
