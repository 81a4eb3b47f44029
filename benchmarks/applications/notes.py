"""Steps of a visit to a program that keeps notes, alike for several frameworks."""

from typing import Any

import httpx

from benchmarks.applications.visiting import User, expect


def add(user: User, http: httpx.Client) -> dict[str, Any]:
    """Add a note that stays; return it."""
    with user.step("add", effect=f"{user.name} stays"):
        reply = http.post("/notes", json={"title": f"{user.name} stays", "text": "first"})
        expect(reply, 201)
    made: dict[str, Any] = reply.json()
    return made


def add_and_delete(user: User, http: httpx.Client) -> int:
    """Add a note and delete it; return its number."""
    with user.step("add another"):
        reply = http.post("/notes", json={"title": f"{user.name} goes"})
        expect(reply, 201)
        number = int(reply.json()["id"])
    with user.step("delete"):
        reply = http.delete(f"/notes/{number}")
        expect(reply, 204)
    return number


def list_all(user: User, http: httpx.Client) -> None:
    """List the user's notes, and show them without their numbers."""
    with user.step("list"):
        reply = http.get("/notes", params={"title": user.name})
        expect(reply)
        user.shows("list", [{**each, "id": 0} for each in reply.json()])
