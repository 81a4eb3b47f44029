"""A program's run behind its response: it waits, is told, and ends; and what it does there is done."""

import asyncio
import gc
from typing import Any

import pytest

from tests.support.hosting import START, answered, body_message, content, sending, until_idle
from tests.support.loop import on_loop
from tests.support.web import request
from trickleweb.asgi import AsgiApplication, ProgramError
from trickleweb.asgi.messages import Message, Receive, Scope, Send
from trickleweb.asgi.outgoing import HELD_BYTES
from trickleweb.bodies import Complete
from trickleweb.responses import Response


class Endless:
    """A program that streams for good; `sent` counts, `received` is what it got meanwhile, `ended` how it went."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = list[Message]()
        self.ended = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listening = asyncio.create_task(self._listen(receive))
        try:
            await send(dict(START))
            while True:
                await send(body_message(bytes(1000), more=True))
                self.sent += 1
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        finally:
            await asyncio.wait([listening])

    async def _listen(self, receive: Receive) -> None:
        while not self.received or self.received[-1]["type"] != "http.disconnect":
            self.received.append(await receive())


def test_a_program_waits_while_nobody_takes() -> None:
    async def test() -> None:
        program = Endless()
        application = AsgiApplication(program, grace_s=0)
        response = await application.respond(request())
        for _ in range(100):
            await asyncio.sleep(0)
        assert program.sent == HELD_BYTES // 1000
        chunks: Any = response.body.chunks  # type: ignore[union-attr]
        await anext(chunks)
        for _ in range(100):
            await asyncio.sleep(0)
        assert program.sent == HELD_BYTES // 1000 + 1
        await chunks.aclose()
        await until_idle(application)

    on_loop(test())


async def closed(response: Response) -> None:
    chunks: Any = response.body.chunks  # type: ignore[union-attr]
    await anext(chunks)
    await chunks.aclose()


async def dropped(response: Response) -> None:
    object.__setattr__(response, "body", Complete())
    gc.collect()


@pytest.mark.parametrize("leave", [closed, dropped])
def test_a_program_whose_response_nobody_takes_is_told_then_cancelled(leave: Any) -> None:
    async def test() -> None:
        program, errors = Endless(), list[Exception]()
        application = AsgiApplication(program, grace_s=0, on_error=errors.append)
        await leave(await application.respond(request()))
        await until_idle(application)
        assert (program.received[-1], program.ended, errors) == ({"type": "http.disconnect"}, "cancelled", [])

    on_loop(test())


def test_a_request_that_is_given_up_ends_the_program() -> None:
    async def test() -> None:
        program = asyncio.Event()

        async def silent(scope: Scope, receive: Receive, send: Send) -> None:
            program.set()
            await asyncio.Event().wait()

        application = AsgiApplication(silent, grace_s=0)
        asking = asyncio.create_task(application.respond(request()))
        await program.wait()
        asking.cancel()
        await until_idle(application)
        assert asking.cancelled()

    on_loop(test())


def test_what_a_program_does_behind_its_response_is_done() -> None:
    async def test() -> None:
        done, errors, go_on = list[str](), list[Exception](), asyncio.Event()

        async def program(scope: Scope, receive: Receive, send: Send) -> None:
            await sending(START, body_message(b"answer"))(scope, receive, send)
            await go_on.wait()
            done.append("background")
            raise LookupError("behind the response")

        application = AsgiApplication(program, on_error=errors.append)
        assert (await answered(application))[1] == b"answer"
        go_on.set()
        await until_idle(application)
        assert (done, [str(error) for error in errors]) == (["background"], ["behind the response"])

    on_loop(test())


def test_the_end_of_a_replica_ends_its_programs_in_time() -> None:
    async def test() -> None:
        ended = list[str]()

        async def polite(scope: Scope, receive: Receive, send: Send) -> None:
            await send(dict(START))
            while (await receive())["type"] != "http.disconnect":
                pass
            ended.append("polite")

        async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await sending(START, body_message(b"x", more=True))(scope, receive, send)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("stubborn")
                raise

        async def program(scope: Scope, receive: Receive, send: Send) -> None:
            await (polite if scope["path"] == "/polite" else stubborn)(scope, receive, send)

        application = AsgiApplication(program, lifespan="off", grace_s=0.05)
        held = [await application.respond(request("GET", path)) for path in ("/polite", "/stubborn")]
        await application.shutdown()
        assert ended == ["polite", "stubborn"]
        for response in held:
            with pytest.raises(ProgramError, match="ended"):
                await content(response)

    on_loop(test())
