"""A visit to the Litestar program by httpx."""

import hashlib

import httpx

from benchmarks.applications.notes import add, add_and_delete, list_all
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
    number = add(user, http)["id"]
    with user.step("change"):
        reply = http.patch(f"/notes/{number}", json={"title": "", "text": "second"})
        expect(reply)
    other = add_and_delete(user, http)
    with user.step("change the deleted"):
        reply = http.patch(f"/notes/{other}", json={"title": "", "text": "third"})
        expect(reply, 404)
        user.shows("change the deleted", reply.json())
    list_all(user, http)
