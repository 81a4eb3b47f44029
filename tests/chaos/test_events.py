"""Event streams, a replica killed after each packet in turn: every event once, in order, heartbeats or not."""

import asyncio
import re

import pytest

from trickles import Policy
from trickleweb import App, Request, Response
from trickleweb.bodies import Level
from trickleweb.events import EventPage, ListEvents, ServerSentEvent, TopicEvents
from trickleweb.plain import Plain
from trickleweb.stores import MemoryTopics
from trickleweb.testing import get, run_chaos
from trickleweb.testing.fleet import Transfer, VirtualFleet

EVENTS = 12


class Slow:
    """Events that become known one after another; each replica has to wait for each."""

    async def read(self, after: str, _most: int, /, **_: Plain) -> EventPage:
        at = int(after or 0) + 1
        return (
            EventPage((ServerSentEvent("x" * 100, id=str(at)),), ended=at == EVENTS)
            if self.known >= at
            else EventPage()
        )

    async def wait(self, after: str, /, **_: Plain) -> None:
        await asyncio.sleep(0.03)
        self.known = max(self.known, int(after or 0) + 1)

    known = 0


def slow_app() -> App:
    app = App()
    stream = app.events("slow", Slow())

    @app.get("/")
    async def watch(request: Request) -> Response:
        return Response.events(stream(), request, heartbeat=0.01)

    return app


def events_of(transfer: Transfer) -> str:
    """Return the body without chunks and comments; a transfer that failed fails."""
    assert (transfer.failure, transfer.errors) == (None, ())
    _, _, rest = transfer.data.partition(b"\r\n\r\n")
    body = b""
    while size := int(rest[: rest.index(b"\r\n")], 16):
        at = rest.index(b"\r\n") + 2
        body, rest = body + rest[at : at + size], rest[at + size + 2 :]
    return re.sub(r"(?m)^:.*\n\n", "", body.decode())


WHOLE = "retry: 1000\n\n" + "".join(f"id: {at}\ndata: {'x' * 100}\n\n" for at in range(1, EVENTS + 1))


async def fetched(policy: Policy, kill_at: int) -> Transfer:
    def boundary(fleet: VirtualFleet, packet: int, index: int) -> None:
        if packet == kill_at:
            fleet.kill(index)

    return await VirtualFleet(slow_app, policy=policy, boundary=boundary).fetch(get("/"))


@pytest.mark.slow
@pytest.mark.parametrize("policy", [Policy.HOME, Policy.SPRAY])
def test_heartbeats_do_not_hinder_resumption(policy: Policy) -> None:
    whole = asyncio.run(fetched(policy, 0))
    assert events_of(whole) == WHOLE
    assert whole.data.count(b": \n\n") > 5
    for kill_at in range(1, whole.packets, 2):
        assert events_of(asyncio.run(fetched(policy, kill_at))) == WHOLE


@pytest.mark.slow
def test_a_list_and_a_topic_resume_from_their_cursors() -> None:
    topics = MemoryTopics()

    async def publish() -> None:
        for at in range(60):
            await topics.publish("t", b"%d" % at * 50)
        await topics.publish("t", b"end")

    asyncio.run(publish())

    def app() -> App:
        made = App(topics=topics)
        listed = made.events("list", ListEvents([f"{at}" * 100 for at in range(60)]))
        topic = made.events("topic", TopicEvents(made))

        @made.get("/list")
        async def watch_list(request: Request) -> Response:
            return Response.events(listed(), request)

        @made.get("/topic")
        async def watch_topic(request: Request) -> Response:
            return Response.events(topic(topic="t", last="end"), request)

        return made

    for path in ("/list", "/topic"):
        verdict = run_chaos(app, get(path))
        assert verdict.resumes, verdict.breaks
        assert (verdict.level, verdict.steady, verdict.status) == (Level.STEPPED, True, 200)
