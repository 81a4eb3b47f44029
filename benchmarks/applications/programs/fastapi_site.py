"""FastAPI: CRUD with models, an upload, a streamed download, a WebSocket."""

import hashlib
from collections.abc import Iterator

from fastapi import FastAPI, HTTPException, UploadFile, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from benchmarks.applications.programs.database import database

app = FastAPI()
PIECES, LINES = 400, 100


class Note(BaseModel):
    """What clients send."""

    title: str
    text: str = ""


class StoredNote(Note):
    """What they get."""

    id: int


@app.get("/notes")
def notes(title: str) -> list[StoredNote]:
    with database() as rows:
        found = rows.execute("SELECT * FROM notes WHERE title LIKE ? ORDER BY title", (f"{title}%",))
        return [StoredNote(**dict(row)) for row in found]


@app.post("/notes", status_code=201)
def add(note: Note) -> StoredNote:
    with database() as rows:
        number = rows.execute("INSERT INTO notes (title, text) VALUES (?, ?)", (note.title, note.text)).lastrowid
    return StoredNote(id=number or 0, **note.model_dump())


@app.get("/notes/{number}")
def note(number: int) -> StoredNote:
    with database() as rows:
        row = rows.execute("SELECT * FROM notes WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise HTTPException(404, "no such note")
    return StoredNote(**dict(row))


@app.put("/notes/{number}")
def change(number: int, note: Note) -> StoredNote:
    with database() as rows:
        rows.execute("UPDATE notes SET title = ?, text = ? WHERE id = ?", (note.title, note.text, number))
    return StoredNote(id=number, **note.model_dump())


@app.delete("/notes/{number}", status_code=204)
def delete(number: int) -> None:
    with database() as rows:
        rows.execute("DELETE FROM notes WHERE id = ?", (number,))


@app.post("/uploads")
async def upload(file: UploadFile) -> dict[str, object]:
    digest, size = hashlib.sha256(), 0
    while piece := await file.read(1 << 16):
        digest.update(piece)
        size += len(piece)
    return {"name": file.filename, "size": size, "sha256": digest.hexdigest()}


@app.get("/export.csv")
def export() -> StreamingResponse:
    def lines() -> Iterator[str]:
        for first in range(0, PIECES * LINES, LINES):
            yield "".join(f"{number},{number * number},some text\n" for number in range(first, first + LINES))

    return StreamingResponse(lines(), media_type="text/csv")


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()
