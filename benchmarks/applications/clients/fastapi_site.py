"""A visit to the FastAPI program by httpx."""

import hashlib

import httpx

from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import User, expect

TIMEOUT_SECONDS = 30.0
BODY = bytes(range(256)) * 12_000  # 3 MB
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
UPGRADE |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
REFUSED_OR_ACCEPTED = (101, 400, 404, 426, 501)


def visit(user: User) -> None:
    with httpx.Client(base_url=user.url, timeout=TIMEOUT_SECONDS) as http:
        number = add(user, http)
        change_and_delete(user, http, number)
        transfers(user, http)
        with user.step("documentation"):
            reply = http.get("/openapi.json")
            expect(reply)
            user.shows("documentation", reply.json())
        with user.step("WebSocket, refused or accepted"), http.stream("GET", "/socket", headers=UPGRADE) as reply:
            assert reply.status_code in REFUSED_OR_ACCEPTED, reply.status_code


def add(user: User, http: httpx.Client) -> int:
    """Add a note that stays."""
    with user.step("add", effect=f"{user.name} stays"):
        reply = http.post("/notes", json={"title": f"{user.name} stays", "text": "first"})
        expect(reply, 201)
        made = reply.json()
        user.shows("add", {**made, "id": 0})
    with user.step("read"):
        reply = http.get(f"/notes/{made['id']}")
        expect(reply)
        assert reply.json() == made
    return int(made["id"])


def change_and_delete(user: User, http: httpx.Client, number: int) -> None:
    """Change that note; add another one and delete it."""
    with user.step("change"):
        reply = http.put(f"/notes/{number}", json={"title": f"{user.name} stays", "text": "second"})
        expect(reply)
    with user.step("add another"):
        reply = http.post("/notes", json={"title": f"{user.name} goes"})
        expect(reply, 201)
        other = reply.json()["id"]
    with user.step("delete"):
        reply = http.delete(f"/notes/{other}")
        expect(reply, 204)
    with user.step("read the deleted"):
        reply = http.get(f"/notes/{other}")
        expect(reply, 404)
        user.shows("read the deleted", reply.json())
    with user.step("list"):
        reply = http.get("/notes", params={"title": user.name})
        expect(reply)
        user.shows("list", [{**each, "id": 0} for each in reply.json()])
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
