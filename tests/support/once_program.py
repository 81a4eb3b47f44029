"""A program whose POSTs leave a line each in the file EFFECTS, with the pid of the replica that did it."""

import asyncio
import os

from trickleweb import App, Request, Response
from trickleweb.events import TopicEvents

app = App()
EFFECTS = "EFFECTS"
done = app.events("done", TopicEvents(app))


@app.post("/do/{name}")
async def do(request: Request, name: str) -> str:
    """Do it; one whose name begins with `slow` takes longer than any test."""
    with open(os.environ[EFFECTS], "a", encoding="ascii") as file:  # noqa: ASYNC230, PTH123 - short, and on purpose
        file.write(f"{name} {os.getpid()}\n")
    if name.startswith("slow"):
        await asyncio.sleep(3600)
    else:
        await request.topics.publish("done", name.encode(), request.idempotency_key)
    return name


@app.get("/events")
async def events(request: Request) -> Response:
    """What was done, up to `last`."""
    return Response.events(done(topic="done", last="last"), request)
