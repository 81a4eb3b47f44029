"""The program of bad days: it makes bodies of any size, and gives each POST its body back."""

from random import Random
from typing import Any

from trickleweb import App, Request

app = App()


def content(path: str, size_bytes: int) -> bytes:
    """The same for the same path, in each process."""
    return Random(path).randbytes(size_bytes)


@app.get("/{name}/{size:int}")
async def made(_: Request, name: str, size: int) -> Any:
    return content(name, size)


@app.post("/echo")
async def echo(request: Request) -> Any:
    return request.body
