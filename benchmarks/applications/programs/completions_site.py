"""FastAPI as a server of a language model: completions in one piece, or streamed as events of the usual form."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from benchmarks.applications.programs.database import database

app = FastAPI()
TOKENS, DISTANCE_SECONDS = 40, 0.03
MODEL = "stub"


class Message(BaseModel):
    """One turn of a conversation."""

    role: str
    content: str


class Asked(BaseModel):
    """What the client sends, as far as it matters here."""

    messages: list[Message]
    stream: bool = False


@app.get("/v1/models")
def models() -> dict[str, object]:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "us"}]}


@app.post("/v1/chat/completions")
async def complete(asked: Asked) -> Response:
    prompt = asked.messages[-1].content
    with database() as rows:
        rows.execute("INSERT INTO notes (title, text) VALUES (?, '')", (prompt,))
    words = [f"{prompt} {number} " for number in range(TOKENS)]
    if asked.stream:
        return StreamingResponse(events(words), media_type="text/event-stream")
    choice = {"index": 0, "message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "stop"}
    return JSONResponse(piece("chat.completion", [choice]))


async def events(words: list[str]) -> AsyncIterator[str]:
    for each in words:
        await asyncio.sleep(DISTANCE_SECONDS)
        choice = {"index": 0, "delta": {"content": each}, "finish_reason": None}
        yield f"data: {json.dumps(piece('chat.completion.chunk', [choice]))}\n\n"
    yield "data: [DONE]\n\n"


def piece(kind: str, choices: list[dict[str, object]]) -> dict[str, object]:
    return {"id": "completion", "object": kind, "created": 1, "model": MODEL, "choices": choices}
