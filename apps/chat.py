"""The API of a language model, before a server of one: an answer survives the death of any replica while it is given.

Start:  pip install httpx; python -m apps.llm 8081, and LLM_URL=http://127.0.0.1:8081/v1 trickleweb run apps.chat:app
Try:    any client of the OpenAI API, with the base URL http://127.0.0.1:8080/v1, and "stream": true

A POST becomes a job (`apps.jobs`): one replica asks the model, and publishes each token in the answer's topic; every
replica streams from there. If the one that asks dies, another asks the model to continue the text so far. The answer's
header X-Answer is the URL at which it can be read again, by others too.
"""

from __future__ import annotations

import json
import os

import httpx

from apps.jobs import LAST, Job, Worker
from trickleweb import App, HTTPError, Request, Response
from trickleweb.events import TopicEvents

app = App()
answers = app.events("answers", TopicEvents(app))
_PAGE = 1000
OPENING = {
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}],
}


async def ask(job: Job, topic: str) -> None:
    """Publish the model's answer token by token, from where an earlier replica stopped."""
    text, count, finished = await said(topic)
    if finished:
        return
    messages = [*job["messages"], {"role": "assistant", "content": text}] if text else job["messages"]
    url = os.environ.get("LLM_URL", "http://127.0.0.1:8081/v1")
    asked = httpx.AsyncClient().stream(
        "POST", f"{url}/chat/completions", json={**job, "messages": messages}, timeout=60
    )
    async with asked as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            data = line.removeprefix("data: ")
            if data != line and data != LAST:
                await app.topics.publish(topic, data.encode(), f"token {count}")
                count += 1


async def said(topic: str) -> tuple[str, int, bool]:
    """The text of an answer so far, the number of its entries, and whether it is finished."""
    text, after, finished = "", 0, False
    while entries := (await app.topics.read(topic, after, _PAGE)).entries:
        for entry in entries:
            choice = json.loads(entry.data)["choices"][0]
            text += choice["delta"].get("content") or ""
            finished = finished or bool(choice["finish_reason"])
        after = entries[-1].number
    return text, after, finished


worker = Worker(app, "answers", ask)


@app.post("/v1/chat/completions")
async def complete(request: Request) -> Response:
    """Ask the model, and stream its answer."""
    asked = request.json()
    if not isinstance(asked, dict) or not isinstance(asked.get("messages"), list) or asked.get("stream") is not True:
        raise HTTPError(400, 'Send messages, and "stream": true.')
    name = request.idempotency_key
    topic = await worker.submit(name, asked, OPENING)
    return stream(topic, request, ("X-Answer", request.url_for("again", name=name)))


@app.get("/v1/answers/{name}")
async def again(request: Request, name: str) -> Response:
    """The answer from its first token on, or after Last-Event-ID."""
    return stream(await worker.begun(name), request)


def stream(topic: str, request: Request, *headers: tuple[str, str]) -> Response:
    """The events of an answer."""
    return Response.events(answers(topic=topic, last=LAST), request, headers=headers)
