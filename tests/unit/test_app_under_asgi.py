"""An App is an ASGI program as it is."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.support.fleetkeys import ring
from trickleweb import App, Request, Response
from trickleweb.middleware import sessions


def site(folder: Path) -> App:
    app = App(middleware=[sessions()], keyring=ring, templates=folder)
    (folder / "page.html").write_text("<p>{{ visits }}")
    app.mount("/files", folder)

    @app.get("/")
    async def home(request: Request) -> Response:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return Response.template("page.html", {"visits": request.session["visits"]})

    @app.post("/upload", stream=True, max_body_bytes=1000)
    async def upload(request: Request) -> Any:
        return [len(piece) async for piece in request.stream()]

    return app


async def story(app: App) -> list[Any]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        pages = [(await client.get("/")).text for _ in range(2)]
        part = await client.get("/files/page.html", headers={"Range": "bytes=0-2"})
        sizes = (await client.post("/upload", content=b"x" * 1000)).json()
        refused = await client.post("/upload", content=b"x" * 1001)
        return [*pages, part.status_code, part.text, sum(sizes), refused.status_code]


def test_an_app_runs_under_an_asgi_server(tmp_path: Path) -> None:
    assert asyncio.run(story(site(tmp_path))) == ["<p>1", "<p>2", 206, "<p>", 1000, 413]
