"""A visit to the Litestar program by httpx."""

import hashlib

import httpx

from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import User, expect

TIMEOUT_SECONDS = 30.0
BODY = bytes(range(256)) * 4000  # 1 MB


def visit(user: User) -> None:
    with httpx.Client(base_url=user.url, timeout=TIMEOUT_SECONDS) as http:
        notes(user, http)
        with user.step("upload"):
            reply = http.post("/uploads", files={"data": ("data.bin", BODY)})
            expect(reply, 201)
            user.shows("upload", reply.json())
        with user.step("stream"):
            reply = http.get("/stream")
            expect(reply)
            user.shows("stream", hashlib.sha256(reply.content).hexdigest())
        with user.step("documentation"):
            reply = http.get("/schema/openapi.json")
            expect(reply)
            user.shows("documentation", reply.json())


def notes(user: User, http: httpx.Client) -> None:
    """Add, change, list, delete."""
    with user.step("add", effect=f"{user.name} stays"):
        reply = http.post("/notes", json={"title": f"{user.name} stays", "text": "first"})
        expect(reply, 201)
        number = reply.json()["id"]
    with user.step("change"):
        reply = http.patch(f"/notes/{number}", json={"title": "", "text": "second"})
        expect(reply)
    with user.step("add another"):
        reply = http.post("/notes", json={"title": f"{user.name} goes"})
        expect(reply, 201)
        other = reply.json()["id"]
    with user.step("delete"):
        reply = http.delete(f"/notes/{other}")
        expect(reply, 204)
    with user.step("change the deleted"):
        reply = http.patch(f"/notes/{other}", json={"title": "", "text": "third"})
        expect(reply, 404)
        user.shows("change the deleted", reply.json())
    with user.step("list"):
        reply = http.get("/notes", params={"title": user.name})
        expect(reply)
        user.shows("list", [{**each, "id": 0} for each in reply.json()])
