"""A CSV export of ten million rows that no death of a replica interrupts: each step says where the next one begins.

Start:  trickleweb run apps.export:app
Try:    curl -O http://127.0.0.1:8080/orders.csv        (?rows=1000 for fewer, from=5000 to begin there)
"""

from __future__ import annotations

from collections.abc import Iterator

from trickleweb import App, HTTPError, Request, Response, Step

ROWS = 10_000_000
ROWS_A_STEP = 500  # some 20 kB: one chunk on the wire
CITIES = ("Amsterdam", "Bern", "Copenhagen", "Dublin", "Edinburgh", "Florence", "Ghent")
HEAD = b"order,customer,city,cents\r\n"

app = App()


def order(number: int) -> str:
    """One row; a database would be asked for `WHERE number > cursor ORDER BY number LIMIT 500`."""
    return f"{number},{number * 7919 % 100_003},{CITIES[number * 31 % 7]},{number * 104_729 % 1_000_000}\r\n"


@app.steps("orders", version=1)
def orders(cursor: int, rows: int) -> Iterator[Step]:
    """The rows from `cursor` on, `ROWS_A_STEP` in a step; cursor -1 is before the head line."""
    if cursor < 0:
        cursor = 0
        yield HEAD, cursor
    while cursor < rows:
        stop = min(cursor + ROWS_A_STEP, rows)
        yield "".join(map(order, range(cursor, stop))), stop
        cursor = stop


@app.get("/orders.csv")
async def export(request: Request) -> Response:
    """All orders, or as many as `rows` says."""
    rows, start = count(request, "rows", ROWS), count(request, "from", -1)
    saved = ("Content-Disposition", 'attachment; filename="orders.csv"')
    return Response.stepped(orders.at(start, rows=rows), media_type="text/csv; charset=utf-8", headers=[saved])


@app.get("/")
async def home(request: Request) -> Response:
    """Where to go."""
    return Response.redirect(request.url_for("export"))


def count(request: Request, name: str, default: int) -> int:
    """A number from the query, at most `ROWS`."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) > ROWS:
        raise HTTPError(400, f"{name} is a whole number up to {ROWS}.")
    return int(text)
