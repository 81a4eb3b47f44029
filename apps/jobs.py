"""Start a job with POST, and watch it with GET from any replica, again and again; no death of a replica stops either.

Start:  trickleweb run apps.jobs:app
Try:    curl -d steps=50 http://127.0.0.1:8080/jobs, then curl -N on the URL in its answer; or a browser, with two tabs

A job is an entry of the topic "jobs", and its progress a topic of its own, which begins before the POST is answered: so
a name without a topic is of no job, and 404, at any replica. Every replica follows the first; the one
that claims a job in the ledger works on it, and if that one dies, another adopts it. Progress is published under a key
for each step, so work that is repeated shows once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from trickleweb import App, HTTPError, Request, Response
from trickleweb.events import TopicEvents
from trickleweb.ledger import Done, Lost, New, ledger_key
from trickleweb.topics import BadTopic, TopicGap

LAST = "[DONE]"  # the entry that ends a job's topic
MOST_STEPS = 1000
_NAME = 100  # characters of a job's key in the name of its topic, and more than keys have
_LOOK_S = 0.5  # between looks at jobs of other replicas, which may have died
Job = dict[str, Any]
Work = Callable[[Job, str], Awaitable[None]]  # of a job, which publishes to the topic with that name


class Worker:
    """Works on the jobs of one kind; each replica has one, and each job has one replica at a time."""

    def __init__(self, app: App, kind: str, work: Work) -> None:
        self._app = app
        self._kind = kind
        self._work = work
        self._known: dict[str, Job] = {}  # those that may have to be worked on, by their topics
        self._tasks: dict[str, asyncio.Task[None]] = {}
        app.on_startup(self.start)

    async def start(self) -> None:
        """Begin to follow the jobs, as long as the process lives."""
        self._following = asyncio.create_task(self._follow())

    async def submit(self, key: str, job: Job, first: object) -> str:
        """Add a job, once for each key, whose topic begins with `first` as JSON; return the topic's name."""
        topic = self.topic(key)
        await self._app.topics.publish(topic, json.dumps(first).encode(), "first")
        await self._app.topics.publish(self._kind, json.dumps([topic, job]).encode(), key)
        return topic

    def topic(self, key: str) -> str:
        """Return the name of a job's topic, cut to a length that topics have."""
        return f"{self._kind} {key[:_NAME]}"

    async def begun(self, key: str) -> str:
        """Return the name of a job's topic; raise 404 for a key under which no job was added."""
        topic = self.topic(key)
        try:
            if (await self._app.topics.kept(topic)).last > 0:
                return topic
        except BadTopic:
            pass
        raise HTTPError(404, "Nothing of this name was begun.")

    async def _follow(self) -> None:
        after = 0
        while True:
            try:
                page = await self._app.topics.read(self._kind, after, 100)
                self._known |= dict(json.loads(entry.data) for entry in page.entries)
                after = page.entries[-1].number if page.entries else after
            except TopicGap as gap:
                after = gap.kept.first - 1
            for topic, job in list(self._known.items()):
                await self._consider(topic, job)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._app.topics.wait({self._kind: after})
            except TimeoutError:
                pass

    async def _consider(self, topic: str, job: Job) -> None:
        """Work on a job that no living replica works on; forget one that is done."""
        ledger, key, now = self._app.ledger, ledger_key("job", topic.encode()), time.time_ns() // 1000
        assert ledger is not None
        if topic in self._tasks:
            return
        claim = await ledger.claim(key, now=now)
        if isinstance(claim, Lost):
            claim = await ledger.adopt(key, now=now)
        if isinstance(claim, New):
            self._tasks[topic] = asyncio.create_task(self._run(topic, job, key))
        elif isinstance(claim, Done):
            del self._known[topic]

    async def _run(self, topic: str, job: Job, key: bytes) -> None:
        try:
            await self._work(job, topic)
        except Exception as error:  # noqa: BLE001 - whatever a job does, its watchers must see an end
            await self._app.topics.publish(topic, json.dumps({"error": str(error)}).encode(), "error")
        await self._app.topics.publish(topic, LAST.encode(), "last")
        assert self._app.ledger is not None
        await self._app.ledger.complete(key, b"", now=time.time_ns() // 1000)
        del self._tasks[topic], self._known[topic]


app = App()
progress = app.events("progress", TopicEvents(app))


async def count(job: Job, topic: str) -> None:
    """The work: a step each tenth of a second, from where an earlier replica stopped."""
    for step in range((await app.topics.kept(topic)).last, job["steps"] + 1):
        await asyncio.sleep(0.1)
        await app.topics.publish(topic, json.dumps(shown(job, step)).encode(), f"step {step}")


def shown(job: Job, step: int) -> Job:
    """Return what watchers see of a step."""
    return {"step": step, "of": job["steps"], "square": step**2}


worker = Worker(app, "jobs", count)


@app.post("/jobs")
async def start(request: Request) -> Response:
    """Start a job of as many steps as the form says."""
    steps = request.form().get("steps") or "20"
    if not (steps.isascii() and steps.isdigit() and 0 < int(steps) <= MOST_STEPS):
        raise HTTPError(400, f"steps is a whole number up to {MOST_STEPS}.")
    name, job = request.idempotency_key, {"steps": int(steps)}
    await worker.submit(name, job, shown(job, 0))
    url = request.url_for("watch", name=name)
    return Response.json({"events": url}, status=202, headers=[("Location", url)])


@app.get("/jobs/{name}")
async def watch(request: Request, name: str) -> Response:
    """The progress of a job, from its first step on, or after Last-Event-ID."""
    return Response.events(progress(topic=await worker.begun(name), last=LAST), request)


@app.get("/")
async def home(_request: Request) -> Response:
    """A page that starts a job and watches it."""
    return Response.html(PAGE)


PAGE = """<!doctype html><title>Jobs</title>
<button>Start a job</button> <progress value=0></progress> <output></output>
<script>
const [button, bar, text] = ["button", "progress", "output"].map(name => document.querySelector(name));
function watch(url) {
  location.hash = url;
  const events = new EventSource(url);
  events.onmessage = ({data}) => {
    if (data == "[DONE]") return events.close();
    const {step, of, square} = JSON.parse(data);
    bar.value = step / of;
    text.value = `${step} of ${of}: ${square}`;
  };
}
button.onclick = async () => watch((await (await fetch("/jobs", {method: "POST", body: ""})).json()).events);
if (location.hash) watch(location.hash.slice(1));
</script>
"""
