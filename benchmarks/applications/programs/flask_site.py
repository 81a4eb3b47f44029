"""Flask: a form, messages flashed through the session's cookie, a list; a file to download."""

import io
import os

from flask import Flask, abort, flash, redirect, render_template_string, request, send_file, session, url_for
from werkzeug.wrappers import Response

from benchmarks.applications.programs.database import database

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "not secret: of a benchmark")
PAGE = """<!doctype html><title>Notes</title>
{% for message in get_flashed_messages() %}<p class="flash">{{ message }}</p>{% endfor %}
<p>{{ session.get("user", "nobody") }} has added {{ session.get("count", 0) }}</p>
<ul>{% for note in notes %}<li>{{ note.title }}: {{ note.text }}</li>{% endfor %}</ul>
<form method="post"><input name="title"><textarea name="text"></textarea><button>Add</button></form>"""


@app.post("/login")
def login() -> Response:
    session.clear()
    session["user"] = request.form["user"]
    return redirect(url_for("notes"))


@app.get("/notes")
def notes() -> str:
    with database() as rows:
        found = rows.execute("SELECT * FROM notes WHERE title LIKE ?", (f"{session.get('user', '')}%",)).fetchall()
    return render_template_string(PAGE, notes=found)


@app.post("/notes")
def add() -> Response:
    if "user" not in session:
        abort(403)
    with database() as rows:
        rows.execute("INSERT INTO notes (title, text) VALUES (?, ?)", (request.form["title"], request.form["text"]))
    session["count"] = session.get("count", 0) + 1
    flash(f"{request.form['title']} was added")
    return redirect(url_for("notes"))


@app.get("/file")
def file() -> Response:
    return send_file(io.BytesIO(b"0123456789abcdef" * 100_000), "application/octet-stream")
