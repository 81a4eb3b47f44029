"""The lifespan of programs: their start, what they leave for their requests, their end."""

import asyncio
import gc
from typing import Any

import pytest

from tests.support.hosting import START, answered, body_message, sending
from tests.support.loop import on_loop
from tests.support.web import request
from trickleweb.asgi import AsgiApplication, LifespanFailed
from trickleweb.asgi.messages import AsgiApp, Receive, Scope, Send


def program_with(lifespan: AsgiApp) -> AsgiApp:
    """A program with that lifespan, which answers with its state."""

    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
        else:
            await sending(START, body_message(repr(scope["state"]).encode()))(scope, receive, send)
            scope["state"]["left"] = "by a request"

    return program


def saying(startup: str, shutdown: str = "complete", **told: Any) -> AsgiApp:
    """A lifespan that answers so, and leaves a number."""

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        for outcome in (startup, shutdown):
            what = (await receive())["type"]
            scope["state"]["number"] = 7
            await send({"type": f"{what}.{outcome}", **told})

    return lifespan


async def lived(program: AsgiApp, mode: str = "auto") -> bytes:
    """What a program answers between its start and its end."""
    application = AsgiApplication(program, lifespan=mode)
    await application.startup()
    await answered(application)
    _, told = await answered(application, request("GET", "/again"))
    await application.shutdown()
    return told


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_what_a_start_leaves_is_there_for_each_request(mode: str) -> None:
    assert on_loop(lived(program_with(saying("complete")), mode)) == b"{'number': 7}"


def test_a_program_that_cannot_start_says_why() -> None:
    program = program_with(saying("failed", message="Traceback:\n  in line 7\nKeyError: 'DATABASE'\n"))
    with pytest.raises(LifespanFailed, match=r"^the program's startup failed: KeyError: 'DATABASE'$") as caught:
        on_loop(lived(program))
    assert "in line 7" in caught.value.details


def test_a_program_that_did_not_end_well_says_so() -> None:
    with pytest.raises(LifespanFailed, match=r"^the program's shutdown failed$"):
        on_loop(lived(program_with(saying("complete", "failed"))))


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    raise KeyError("lifespan")


async def returning(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def talking_nonsense(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start"})


@pytest.mark.parametrize("lifespan", [raising, returning, talking_nonsense])
def test_a_program_that_does_not_know_the_protocol_is_served(lifespan: AsgiApp) -> None:
    assert on_loop(lived(program_with(lifespan))) == b"{}"


@pytest.mark.parametrize(
    ("lifespan", "why"), [(raising, "KeyError"), (talking_nonsense, "unexpected lifespan message")]
)
def test_it_is_not_where_that_is_required(lifespan: AsgiApp, why: str) -> None:
    with pytest.raises(LifespanFailed, match=why):
        on_loop(lived(program_with(lifespan), "on"))


def test_no_lifespan_is_spoken_where_it_is_off() -> None:
    assert on_loop(lived(program_with(saying("failed")), "off")) == b"{}"


def test_an_error_behind_the_start_is_told_at_the_end() -> None:
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise LookupError("at the end")

    with pytest.raises(LifespanFailed, match="shutdown failed: LookupError: at the end"):
        on_loop(lived(program_with(lifespan)))


def test_there_is_no_other_way() -> None:
    with pytest.raises(ValueError, match="auto, on or off, not 'maybe'"):
        AsgiApplication(program_with(raising), lifespan="maybe")


def test_a_program_whose_loop_ends_before_it_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        except asyncio.CancelledError:
            await send({"type": "lifespan.shutdown.failed", "message": "cancelled"})
            raise

    on_loop(AsgiApplication(program_with(lifespan)).startup())
    gc.collect()
    assert caplog.messages == []
