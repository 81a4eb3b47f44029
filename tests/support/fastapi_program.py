"""A program for FastAPI with something of everything that people do with it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import BackgroundTasks, Cookie, FastAPI, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(tempfile.gettempdir()) / "trickles-fastapi-program"
LARGE = b"".join(b"%07d\n" % number for number in range(100_000))
NOTES: list[str] = []


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, int]]:
    NOTES.append("started")
    yield {"started": 1}
    NOTES.append("ended")


app = FastAPI(lifespan=lifespan)
app.add_middleware(GZipMiddleware, minimum_size=1000)


class Item(BaseModel):
    name: str
    price: float


@app.middleware("http")
async def named(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await go_on(request)
    response.headers["x-named"] = request.url.path.encode("unicode_escape").decode()
    return response


@app.get("/")
def root() -> dict[str, str]:
    return {"hello": "w\xf6rld"}


@app.get("/items/{number}")
async def item(number: int, q: str = "") -> dict[str, str | int]:
    if number > 100:
        raise HTTPException(404, "no such item", headers={"X-Why": "too large"})
    return {"number": number, "q": q}


@app.post("/items", status_code=201)
async def create(item: Item) -> Item:
    return item


@app.put("/items/{number}")
def replace(number: int, item: Item) -> dict[str, object]:
    return {"number": number, "item": item}


@app.delete("/items/{number}", status_code=204)
def delete(number: int) -> None:
    return None


@app.get("/list")
def listed(tag: Annotated[list[str], Query()]) -> list[str]:
    return tag


@app.get("/page", response_class=HTMLResponse)
def page() -> str:
    return "<h1>page</h1>" * 500


@app.get("/text")
def text() -> PlainTextResponse:
    response = PlainTextResponse("text")
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2", max_age=60)
    return response


@app.get("/cookies")
def cookies(a: Annotated[str, Cookie()] = "none", b: Annotated[str, Cookie()] = "none") -> list[str]:
    return [a, b]


@app.post("/form")
def form(name: Annotated[str, Form()], age: Annotated[int, Form()] = 0) -> dict[str, object]:
    return {"name": name, "age": age}


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, object]:
    data = await file.read()
    return {"name": file.filename, "size": len(data), "sum": sum(data)}


@app.put("/stream-in")
async def stream_in(request: Request) -> dict[str, int]:
    size = total = 0
    async for piece in request.stream():
        size, total = size + len(piece), total + sum(piece)
    return {"size": size, "sum": total}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[str]:
        for number in range(2000):
            yield f"{number} is a number\n"

    return StreamingResponse(chunks(), media_type="text/plain")


@app.get("/plain-stream")
def plain_stream() -> StreamingResponse:
    def chunks() -> Iterator[bytes]:
        for at in range(0, len(LARGE), 10_000):
            yield LARGE[at : at + 10_000]

    return StreamingResponse(chunks(), media_type="application/octet-stream")


@app.get("/events")
async def events() -> StreamingResponse:
    async def told() -> AsyncIterator[str]:
        for number in range(5):
            yield f"id: {number}\ndata: event\n\n"

    return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@app.get("/file")
def file() -> FileResponse:
    return FileResponse(FOLDER / "large.txt", filename="large.txt")


@app.head("/file")
def file_head() -> FileResponse:
    return file()


@app.get("/moved")
def moved() -> RedirectResponse:
    return RedirectResponse("/items/1?q=a b")


@app.get("/background")
def background(tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(NOTES.append, "behind the response")
    return {"notes": 1}


@app.get("/boom")
def boom() -> None:
    raise LookupError("boom")


@app.get("/teapot")
async def teapot() -> Response:
    return Response("short", status_code=418, media_type="text/plain", headers={"X-A": "1", "Connection": "close"})


@app.get("/scope")
async def scope(request: Request) -> dict[str, object]:
    keys = ("type", "http_version", "method", "path", "root_path", "scheme")
    told = {key: request.scope[key] for key in keys}
    raw = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    more = {"raw_path": request.scope["raw_path"].decode(), "query": request.scope["query_string"].decode()}
    return {**told, **more, "headers": raw, "started": request.state.started, "url": str(request.url)}


def prepare() -> FastAPI:
    """The program, with its files at hand."""
    FOLDER.mkdir(exist_ok=True)
    for name, data in (("large.txt", LARGE), ("small.txt", b"small\n"), ("style.css", b"h1 { color: red }")):
        fresh = FOLDER / f".{name}.new"
        if not (FOLDER / name).exists():
            fresh.write_bytes(data)
            fresh.replace(FOLDER / name)
    if not any(getattr(route, "name", "") == "static" for route in app.routes):
        app.mount("/static", StaticFiles(directory=FOLDER), name="static")
    return app
