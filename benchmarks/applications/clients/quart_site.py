"""A visit to the Quart program by httpx, which keeps the cookies."""

import hashlib

import httpx

from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import User, expect

TIMEOUT_SECONDS = 30.0


def visit(user: User) -> None:
    with httpx.Client(base_url=user.url, timeout=TIMEOUT_SECONDS, follow_redirects=True) as http:
        with user.step("log in", requests=2):
            reply = http.post("/login", data={"user": user.name})
            expect(reply)
            user.shows("log in", reply.text)
        with user.step("add", effect=user.name):
            reply = http.post("/notes", data={"title": user.name, "text": "<ü>"}, follow_redirects=False)
            expect(reply, 302)
        for label in ("list with a message", "list without"):
            with user.step(label):
                reply = http.get("/notes")
                expect(reply)
                user.shows(label, reply.text)
        with user.step("JSON"):
            reply = http.post("/echo", json={"a": [1, None, "ü"]})
            expect(reply)
            user.shows("JSON", reply.json())
        with user.step("stream"):
            reply = http.get("/stream")
            expect(reply)
            user.shows("stream", hashlib.sha256(reply.content).hexdigest())
