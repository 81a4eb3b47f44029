"""Event streams of unmodified programs, a replica killed after each packet in turn: every event once, in order."""

import asyncio
import time

import pytest

from tests.chaos.test_events import events_of
from trickles import Policy
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import Receive, Scope, Send
from trickleweb.server import event_parts
from trickleweb.testing import get
from trickleweb.testing.fleet import Transfer, VirtualFleet

EVENTS = 10


def program(kind: str, pause: float = 0.008) -> AsgiApplication:
    """An ASGI program that sends events with heartbeats, with ids, with ids that it ignores, or without."""

    async def events(scope: Scope, _receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        start = int(headers.get(b"last-event-id", b"0")) if kind == "ids" else 0
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for at in range(start + 1, EVENTS + 1):
            await send({"type": "http.response.body", "body": b": ping - %f\r\n\r\n" % time.time(), "more_body": True})
            await asyncio.sleep(pause)
            number = b"" if kind == "none" or at % 3 == 0 else b"id: %d\r\n" % at
            for piece in (number + b"data: event ", b"%d\r\n" % at, b"\r\n"):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return AsgiApplication(events, lifespan="off")


def whole(kind: str) -> str:
    numbers = ["" if kind == "none" or at % 3 == 0 else f"id: {at}\r\n" for at in range(1, EVENTS + 1)]
    return "".join(f"{number}data: event {at}\r\n\r\n" for at, number in enumerate(numbers, 1))


async def fetched(kind: str, policy: Policy, kill_at: int) -> Transfer:
    def boundary(fleet: VirtualFleet, packet: int, index: int) -> None:
        if packet == kill_at:
            fleet.kill(index)

    return await VirtualFleet(lambda: program(kind), policy=policy, boundary=boundary).fetch(get("/"))


@pytest.mark.slow
@pytest.mark.parametrize("policy", [Policy.HOME, Policy.SPRAY])
@pytest.mark.parametrize("kind", ["ids", "ignored", "none"])
def test_every_event_arrives_once(kind: str, policy: Policy) -> None:
    undisturbed = asyncio.run(fetched(kind, policy, 0))
    assert events_of(undisturbed) == whole(kind)
    assert 0 < undisturbed.data.count(b": ping - ") <= EVENTS
    for kill_at in range(1, undisturbed.packets, 2):
        assert events_of(asyncio.run(fetched(kind, policy, kill_at))) == whole(kind)


@pytest.mark.slow
def test_a_program_that_does_not_catch_up_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_parts, "CATCH_UP_S", 0)
    broken = asyncio.run(fetched("none", Policy.HOME, 12))
    assert broken.failure is not None
    assert b"event 1\r\n" in broken.data
    assert b"event 10\r\n" not in broken.data
