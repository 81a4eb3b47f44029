"""A visit to Datasette by httpx: browse pages, export JSON and CSV, send the form of a query that writes."""

import hashlib
import re

import httpx

from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import User, expect

TIMEOUT_SECONDS = 30.0
PAGES = {"database": "/notes", "table": "/notes/numbers", "row": "/notes/numbers/17", "index": "/-/static/app.css"}
PAGES |= {"facet": "/notes/numbers?_facet=word&square__gt=100", "query": "/notes?sql=select+count(*)+from+numbers"}
EXPORTS = {"CSV": "/notes/numbers.csv?_stream=on&_size=max", "JSON": "/notes/numbers.json?_shape=array&_size=max"}
VARYING = re.compile(r"Queries took [\d.]+ms|\d[\d,]* rows? in notes|name=\"csrftoken\" value=\"[^\"]+\"")
TOKEN = re.compile(r'name="csrftoken" value="([^"]+)"')


def visit(user: User) -> None:
    with httpx.Client(base_url=user.url, timeout=TIMEOUT_SECONDS) as http:
        for label, path in PAGES.items():
            with user.step(label):
                reply = http.get(path)
                expect(reply)
                user.shows(label, title_and_rows(reply.text) if label == "database" else varied(user, reply.text))
        for label, path in EXPORTS.items():
            with user.step(label):
                reply = http.get(path)
                expect(reply)
                user.shows(label, [len(reply.content), hashlib.sha256(reply.content).hexdigest()])
        with user.step("form"):
            reply = http.get("/notes/add")
            expect(reply)
            token = next(iter(TOKEN.findall(reply.text)), "")
        with user.step("add", effect=user.name, requests=2):
            reply = http.post("/notes/add", data={"title": user.name, "csrftoken": token}, follow_redirects=True)
            expect(reply)
            user.shows("add", "Query executed, 1 row affected" in reply.text)


def varied(user: User, page: str) -> str:
    """A page without times, tokens and the server's address, as a hash."""
    return hashlib.sha256(VARYING.sub("VARYING", page).replace(user.url, "URL").encode()).hexdigest()


def title_and_rows(page: str) -> list[str]:
    """What is stable of the database's page, which counts the rows."""
    return re.findall(r"<title>(.*?)</title>", page) + re.findall(r"<h3><a href=\"[^\"]*\">([^<]*)</a>", page)
