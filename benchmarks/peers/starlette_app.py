"""Peer: a Starlette program with the usual small routes, and one that takes uploads as they come."""

import hashlib
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

VALUE = {"name": "Ada", "born": 1815, "tags": ["one", "two", "three"], "nested": {"a": 1.5, "b": None}}


async def hello(_request: Request) -> Response:
    return PlainTextResponse("Hello, world\n")


async def value(_request: Request) -> Response:
    return JSONResponse(VALUE)


async def upload(request: Request) -> Response:
    """The body's hash; each run that comes to its end leaves a line where BENCH_EFFECTS says."""
    digest, size = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        size += len(piece)
    descriptor = os.open(os.environ["BENCH_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{digest.hexdigest()}\n".encode())
    os.close(descriptor)
    return PlainTextResponse(f"{size} {digest.hexdigest()}\n")


app = Starlette(routes=[Route("/hello", hello), Route("/json", value), Route("/upload", upload, methods=["PUT"])])
