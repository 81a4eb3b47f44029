"""The program that serves the event streams of `benchmarks.events`: one topic for each path."""

from trickleweb import App, Request, Response
from trickleweb.events import TopicEvents

app = App()
topics = app.events("topics", TopicEvents(app))


@app.get("/{name}")
async def watch(request: Request, name: str) -> Response:
    """The events of a topic."""
    return Response.events(topics(topic=name), request)
