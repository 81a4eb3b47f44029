"""Litestar: a controller with typed data, an upload, a stream, the OpenAPI document."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from litestar import Controller, Litestar, delete, get, patch, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body
from litestar.response import Stream

from benchmarks.applications.programs.database import database

PIECES = 300


@dataclass
class Note:
    """What clients send and get."""

    title: str
    text: str = ""
    id: int = 0


class Notes(Controller):
    """CRUD over the table."""

    path = "/notes"

    @get(sync_to_thread=True)
    def listed(self, title: str) -> list[Note]:
        with database() as rows:
            found = rows.execute("SELECT title, text, id FROM notes WHERE title LIKE ? ORDER BY title", (f"{title}%",))
            return [Note(*row) for row in found]

    @post(sync_to_thread=True)
    def add(self, data: Note) -> Note:
        with database() as rows:
            number = rows.execute("INSERT INTO notes (title, text) VALUES (?, ?)", (data.title, data.text)).lastrowid
        return Note(data.title, data.text, number or 0)

    @patch("/{number:int}", sync_to_thread=True)
    def change(self, number: int, data: Note) -> Note:
        with database() as rows:
            changed = rows.execute("UPDATE notes SET text = ? WHERE id = ?", (data.text, number)).rowcount
        if not changed:
            raise NotFoundException("no such note")
        return Note(data.title, data.text, number)

    @delete("/{number:int}", sync_to_thread=True)
    def remove(self, number: int) -> None:
        with database() as rows:
            rows.execute("DELETE FROM notes WHERE id = ?", (number,))


@post("/uploads")
async def upload(data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict[str, str]:
    return {"name": data.filename, "sha256": hashlib.sha256(await data.read()).hexdigest()}


@get("/stream")
async def stream() -> Stream:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(PIECES):
            yield f"piece {number}\n".encode() * 100

    return Stream(pieces, media_type="text/plain")


app = Litestar([Notes, upload, stream])
