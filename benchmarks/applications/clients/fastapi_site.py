"""A visit to the FastAPI program by httpx."""

import hashlib
from typing import Any

import httpx

from benchmarks.applications.notes import add, add_and_delete, list_all
from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import User, expect

TIMEOUT_SECONDS = 30.0
BODY = bytes(range(256)) * 12_000  # 3 MB
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
UPGRADE |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
REFUSED_OR_ACCEPTED = (101, 400, 404, 426, 501)


def visit(user: User) -> None:
    with httpx.Client(base_url=user.url, timeout=TIMEOUT_SECONDS) as http:
        made = add(user, http)
        user.shows("add", {**made, "id": 0})
        read_and_change(user, http, made)
        transfers(user, http)
        with user.step("documentation"):
            reply = http.get("/openapi.json")
            expect(reply)
            user.shows("documentation", reply.json())
        with user.step("WebSocket, refused or accepted"), http.stream("GET", "/socket", headers=UPGRADE) as reply:
            assert reply.status_code in REFUSED_OR_ACCEPTED, reply.status_code


def read_and_change(user: User, http: httpx.Client, made: dict[str, Any]) -> None:
    """Read that note, and change it; add another one and delete it."""
    with user.step("read"):
        reply = http.get(f"/notes/{made['id']}")
        expect(reply)
        assert reply.json() == made
    with user.step("change"):
        reply = http.put(f"/notes/{made['id']}", json={"title": f"{user.name} stays", "text": "second"})
        expect(reply)
    other = add_and_delete(user, http)
    with user.step("read the deleted"):
        reply = http.get(f"/notes/{other}")
        expect(reply, 404)
        user.shows("read the deleted", reply.json())
    list_all(user, http)
    with user.step("wrong input"):
        reply = http.post("/notes", json={"text": 1})
        expect(reply, 422)
        user.shows("wrong input", reply.json())


def transfers(user: User, http: httpx.Client) -> None:
    """Upload a file by a form, and download a stream."""
    with user.step("upload"):
        reply = http.post("/uploads", files={"file": ("data.bin", BODY)})
        expect(reply)
        assert reply.json()["sha256"] == hashlib.sha256(BODY).hexdigest()
        user.shows("upload", reply.json())
    with user.step("streamed download"):
        reply = http.get("/export.csv")
        expect(reply)
        user.shows("streamed download", [reply.headers["content-type"], hashlib.sha256(reply.content).hexdigest()])
