"""Peer: the same small routes as handlers of trickleweb's own App."""

from benchmarks.peers.starlette_app import VALUE
from trickleweb import App, Request

app = App()


@app.get("/hello")
async def hello(_request: Request) -> str:
    return "Hello, world\n"


@app.get("/json")
async def value(_request: Request) -> dict[str, object]:
    return VALUE
