"""A FastAPI program, written without a thought of Trickles: any GET of it survives its replica's death.

Start:  pip install fastapi && trickleweb run apps.catalogue:app
Try:    curl http://127.0.0.1:8080/items/7, curl -N http://127.0.0.1:8080/ticks, http://127.0.0.1:8080/docs in a browser
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

app = FastAPI(title="Catalogue")
MOST = 20_000


class Item(BaseModel):
    """What the catalogue lists."""

    number: int = Field(ge=0, lt=MOST)
    name: str
    cents: int


def item(number: int) -> Item:
    """Every number has its item."""
    return Item(number=number, name=f"Item {number:05}", cents=number * 37 % 10_000)


@app.get("/items/{number}")
async def one(number: int) -> Item:
    """One item."""
    if not 0 <= number < MOST:
        raise HTTPException(404, "no such item")
    return item(number)


@app.get("/items")
def some(start: int = 0, count: int = 20) -> list[Item]:
    """A page of items."""
    return [item(number) for number in range(max(start, 0), min(start + min(count, 1_000), MOST))]


@app.get("/items.ndjson")
async def everything() -> StreamingResponse:
    """All items, one JSON object a line: some 1 MB, streamed."""
    return StreamingResponse(lines(), media_type="application/x-ndjson")


@app.get("/ticks")
async def ticks(count: int = 20, pause: float = 0.25) -> StreamingResponse:
    """Server-sent events."""
    return StreamingResponse(events(min(count, 1_000), pause), media_type="text/event-stream")


@app.post("/items")
async def price(wanted: list[int]) -> dict[str, int]:
    """What some items cost together."""
    return {"cents": sum(item(number).cents for number in wanted if 0 <= number < MOST)}


async def lines() -> AsyncIterator[str]:
    """A hundred items at a time."""
    for start in range(0, MOST, 100):
        yield "".join(json.dumps(item(number).model_dump()) + "\n" for number in range(start, start + 100))


async def events(count: int, pause: float) -> AsyncIterator[str]:
    """One tick after the other."""
    for number in range(count):
        yield f"id: {number}\ndata: tick {number}\n\n"
        await asyncio.sleep(pause)
