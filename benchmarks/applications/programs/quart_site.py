"""Quart: a form, messages flashed through the session's cookie, JSON, a stream."""

from collections.abc import AsyncIterator

from quart import Quart, Response, flash, redirect, render_template_string, request, session
from werkzeug.wrappers import Response as Redirect

from benchmarks.applications.programs.database import database

app = Quart(__name__)
app.secret_key = "not secret: of a benchmark"
PAGE = """<!doctype html><title>Notes</title>
{% for message in get_flashed_messages() %}<p class="flash">{{ message }}</p>{% endfor %}
<ul>{% for note in notes %}<li>{{ note.title }}: {{ note.text }}</li>{% endfor %}</ul>
<form method="post"><input name="title"><textarea name="text"></textarea><button>Add</button></form>"""
PIECES = 200


@app.post("/login")
async def login() -> Redirect:
    form = await request.form
    session["user"] = form["user"]
    return redirect("/notes")


@app.get("/notes")
async def notes() -> str:
    with database() as rows:
        found = rows.execute("SELECT * FROM notes WHERE title LIKE ?", (f"{session['user']}%",)).fetchall()
    return await render_template_string(PAGE, notes=found)


@app.post("/notes")
async def add() -> Redirect:
    form = await request.form
    with database() as rows:
        rows.execute("INSERT INTO notes (title, text) VALUES (?, ?)", (form["title"], form["text"]))
    await flash(f"{form['title']} was added")
    return redirect("/notes")


@app.post("/echo")
async def echo() -> dict[str, object]:
    return {"you sent": await request.get_json()}


@app.get("/stream")
async def stream() -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(PIECES):
            yield f"piece {number}\n".encode() * 100

    return Response(pieces(), mimetype="text/plain")
