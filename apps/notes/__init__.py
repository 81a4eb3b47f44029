"""Notes: pages from templates, sessions in sealed cookies, forms with tokens, rows in SQLite.

Start:  trickleweb run apps.notes:app
Try:    http://127.0.0.1:8080/ in a browser; NOTES_DATABASE names another file than notes.sqlite.

The replicas share nothing but the file. A note is added once, however often its request is sent, to whichever replica:
the idempotency key of the request is a column.
"""

from __future__ import annotations

import os
from pathlib import Path

from apps.notes.store import Store
from trickleweb import App, HTTPError, Request, Response
from trickleweb.middleware import csrf_protection, security_headers, sessions

HERE = Path(__file__).parent
MOST_CHARS = 2_000

app = App(middleware=[security_headers(), sessions(), csrf_protection()], templates=HERE / "templates")
app.mount("/static", HERE / "static")
store = Store(os.environ.get("NOTES_DATABASE", "notes.sqlite"))


def page(request: Request, template: str, **values: object) -> Response:
    """A page with what all of them show."""
    shown = {
        "user": request.session.get("user"),
        "messages": [each._asdict() for each in request.session.take_flashes()],
        "csrf": request.csrf_token(),
    }
    return Response.template(template, shown | values)


def user_of(request: Request) -> str:
    """Who is asking; 403 if nobody has said."""
    user = request.session.get("user")
    if not isinstance(user, str):
        raise HTTPError(403, "Say who you are first.")
    return user


@app.get("/")
def home(request: Request) -> Response:
    """The user's notes, or the form that asks who it is."""
    user = request.session.get("user")
    if user is None:
        return page(request, "welcome.html")
    return page(request, "notes.html", notes=store.of(user), most=MOST_CHARS)


@app.post("/login")
def login(request: Request) -> Response:
    """Begin a session; an example takes anybody's word."""
    name = (request.form().get("name") or "").strip()
    if not 0 < len(name) <= 40:
        raise HTTPError(400, "A name has 1 to 40 characters.")
    request.session.clear()
    request.session["user"] = name
    request.session.flash(f"Welcome, {name}.")
    return Response.redirect(request.url_for("home"))


@app.post("/logout")
def logout(request: Request) -> Response:
    """End the session."""
    request.session.clear()
    return Response.redirect(request.url_for("home"))


@app.post("/notes")
def add(request: Request) -> Response:
    """Keep a note, once."""
    text = (request.form().get("text") or "").strip()
    if not 0 < len(text) <= MOST_CHARS:
        raise HTTPError(400, f"A note has 1 to {MOST_CHARS} characters.")
    store.add(user_of(request), text, key=request.idempotency_key)
    request.session.flash("Kept.")
    return Response.redirect(request.url_for("home"))


@app.post("/notes/{number:int}/delete")
def delete(request: Request, number: int) -> Response:
    """Drop one of the user's own notes."""
    if not store.delete(user_of(request), number):
        raise HTTPError(404, "You have no such note.")
    request.session.flash("Dropped.")
    return Response.redirect(request.url_for("home"))


@app.get("/notes.txt")
def text(request: Request) -> str:
    """All of the user's notes as text."""
    return "\n\n".join(note.text for note in store.of(user_of(request))) + "\n"


@app.error(HTTPError)
def error_page(request: Request, error: HTTPError) -> Response:
    """Errors look like all else."""
    made = page(request, "error.html", status=error.status, reason=error.reason)
    return Response(error.status, made.headers, made.body)
