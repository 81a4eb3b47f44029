"""A visit to the Flask program by requests, which keeps the cookies."""

import hashlib

import requests

from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import User, expect

TIMEOUT_SECONDS = 30.0
NOTES = 3


def visit(user: User) -> None:
    with requests.Session() as http:
        with user.step("without a session"):
            reply = http.post(f"{user.url}/notes", {"title": "x", "text": "y"}, timeout=TIMEOUT_SECONDS)
            expect(reply, 403)
            user.shows("without a session", reply.text)
        with user.step("log in", requests=2):
            reply = http.post(f"{user.url}/login", {"user": user.name}, timeout=TIMEOUT_SECONDS)
            expect(reply)
            user.shows("log in", reply.text)
        for number in range(NOTES):
            add(user, http, f"{user.name} {number}")
        with user.step("the message is shown once"):
            reply = http.get(f"{user.url}/notes", timeout=TIMEOUT_SECONDS)
            expect(reply)
            user.shows("the message is shown once", reply.text)
        with user.step("file"):
            reply = http.get(f"{user.url}/file", timeout=TIMEOUT_SECONDS)
            expect(reply)
            user.shows("file", hashlib.sha256(reply.content).hexdigest())


def add(user: User, http: requests.Session, title: str) -> None:
    """Send the form; the answer leads to the list, with a message on it."""
    with user.step("add", effect=title):
        form = {"title": title, "text": "Grüße & <b>more</b>"}
        reply = http.post(f"{user.url}/notes", form, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        expect(reply, 302)
        user.shows("add", reply.headers["Location"])
    with user.step(f"list after {title[-1]}"):
        reply = http.get(f"{user.url}{reply.headers['Location']}", timeout=TIMEOUT_SECONDS)
        expect(reply)
        user.shows(f"list after {title[-1]}", reply.text)
