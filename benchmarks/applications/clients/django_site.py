"""A visit to Django's admin by requests, which keeps the cookies; forms are sent with their tokens."""

import hashlib
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import requests
from bs4 import BeautifulSoup

from benchmarks.applications.visiting import User, expect

TIMEOUT_SECONDS = 30.0
NOTES = "/admin/django_site/note/"
VARYING = re.compile(r'value="[A-Za-z0-9]{64}"|/note/\d+/|value="\d+"')
ADDED = "SELECT object_repr FROM django_admin_log WHERE action_flag = 1"


def effects(data: Path) -> dict[str, int]:
    with closing(sqlite3.connect(data / "django.sqlite")) as rows:
        return Counter(title for (title,) in rows.execute(ADDED))


def visit(user: User) -> None:
    with requests.Session() as http:
        with user.step("log in", requests=2):
            filled = form(user, http, "/admin/login/?next=/admin/")
            page = sent(user, http, "/admin/login/?next=/admin/", {**filled, "username": "admin", "password": "secret"})
            user.shows("log in", "Site administration" in page)
        shown(user, http, "index", "/admin/")
        static(user, http)
        added(user, http, f"{user.name} stays")
        added(user, http, f"{user.name} goes")
        changed_and_deleted(user, http)
        with user.step("log out"):
            filled = form(user, http, "/admin/")
            page = sent(user, http, "/admin/logout/", filled)
            user.shows("log out", "Logged out" in page)
        with user.step("logged out"):
            reply = http.get(f"{user.url}{NOTES}", timeout=TIMEOUT_SECONDS)
            expect(reply)
            user.shows("logged out", "id_username" in reply.text)


def form(user: User, http: requests.Session, path: str) -> dict[str, str]:
    """The hidden fields of a page's last form."""
    reply = http.get(f"{user.url}{path}", timeout=TIMEOUT_SECONDS)
    expect(reply)
    fields = BeautifulSoup(reply.text, "html.parser").find_all("form")[-1].find_all("input", type="hidden")
    assert any(each["name"] == "csrfmiddlewaretoken" for each in fields), reply.text[-500:]
    return {str(each["name"]): str(each.get("value", "")) for each in fields}


def sent(user: User, http: requests.Session, path: str, fields: dict[str, str]) -> str:
    """The page that follows a form."""
    reply = http.post(f"{user.url}{path}", fields, timeout=TIMEOUT_SECONDS)
    expect(reply)
    assert "errornote" not in reply.text, reply.text
    return reply.text


def shown(user: User, http: requests.Session, label: str, path: str) -> str:
    """Look at a page, whose list is compared without tokens and the numbers of rows."""
    with user.step(label):
        reply = http.get(f"{user.url}{path}", timeout=TIMEOUT_SECONDS)
        expect(reply)
        rows = str(BeautifulSoup(reply.text, "html.parser").find(id="result_list"))
        user.shows(label, VARYING.sub("VARYING", rows) if label != "index" else "Recent actions" in reply.text)
    return reply.text


def static(user: User, http: requests.Session) -> None:
    """The style sheet and the script that the pages name."""
    for path in ("/static/admin/css/base.css", "/static/admin/js/core.js"):
        with user.step(path):
            reply = http.get(f"{user.url}{path}", timeout=TIMEOUT_SECONDS)
            expect(reply)
            user.shows(path, [reply.headers["Content-Type"], hashlib.sha256(reply.content).hexdigest()])


def added(user: User, http: requests.Session, title: str) -> None:
    """Add a note by the form."""
    label = f"add {title}"
    with user.step(label, effect=title, requests=3):
        page = sent(user, http, f"{NOTES}add/", {**form(user, http, f"{NOTES}add/"), "title": title, "text": "first"})
        user.shows("add", [title in page, "was added successfully" in page])


def changed_and_deleted(user: User, http: requests.Session) -> None:
    """Search, change the first and delete the second, then list again."""
    page = shown(user, http, "search", f"{NOTES}?q={user.name}")
    numbers = {title: number for number, title in re.findall(rf"/note/(\d+)/change/[^>]*>({user.name} \w+)<", page)}
    with user.step("change", requests=3):
        path = f"{NOTES}{numbers[f'{user.name} stays']}/change/"
        filled = form(user, http, path)
        page = sent(user, http, path, {**filled, "title": f"{user.name} stays", "text": "second"})
        user.shows("change", "was changed successfully" in page)
    with user.step("delete", requests=3):
        path = f"{NOTES}{numbers[f'{user.name} goes']}/delete/"
        page = sent(user, http, path, form(user, http, path))
        user.shows("delete", "was deleted successfully" in page)
    shown(user, http, "search again", f"{NOTES}?q={user.name}")
