"""A visit to the Starlette program: an event stream is read as a browser's EventSource does, which reconnects."""

from collections.abc import Iterator

import httpx

from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import User, expect

TIMEOUT_SECONDS = 30.0
MOST_CONNECTIONS = 20
Event = dict[str, str]


def visit(user: User) -> None:
    with httpx.Client(base_url=user.url, timeout=TIMEOUT_SECONDS) as http:
        with user.step("add", effect=user.name):
            reply = http.post("/notes", json={"title": user.name})
            expect(reply, 201)
            user.shows("add", reply.json())
        with user.step("events"):
            user.shows("events", received(http))


def received(http: httpx.Client) -> list[Event]:
    """All events up to the last one, over as many connections as it takes."""
    events: list[Event] = []
    for _ in range(MOST_CONNECTIONS):
        last = next((each["id"] for each in reversed(events) if "id" in each), None)
        headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
        try:
            with http.stream("GET", "/events", headers=headers) as reply:
                expect(reply)
                events += parsed(reply.iter_lines())
        except httpx.TransportError:
            continue
        if events and events[-1].get("event") == "end":
            return events
    raise TimeoutError(f"no end after {MOST_CONNECTIONS} connections, {len(events)} events")


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    """Events of a stream; comments are left out, and an event that is not complete (HTML, 9.2.6)."""
    event: Event = {}
    for line in lines:
        name, _, value = line.partition(":")
        if name:
            event[name] = value.removeprefix(" ")
        elif not line and event:
            yield event
            event = {}
