"""A folder's listing as HTML or JSON: entries, order, pages, text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from trickleweb.files.qvalues import media_weight
from trickleweb.headers import format_date

JSON = "application/json"
HTML = "text/html"


class Entry(NamedTuple):
    """One name in a folder; folders have no size. The time may be unknown."""

    name: str
    is_folder: bool
    size_bytes: int
    modified_s: int | None

    def undated(self) -> Entry:
        """Return the entry without its time."""
        return self._replace(modified_s=None)


class Order(NamedTuple):
    """The sort key of entries; folders always come first."""

    key: str = "name"
    descending: bool = False

    @property
    def query(self) -> str:
        """The query for this order, "" for the default."""
        if self == Order():
            return ""
        return f"sort={self.key}&order={'desc' if self.descending else 'asc'}"


class Page(NamedTuple):
    """A part of a listing, by its number from 1; all `pages` together have that many `entries`."""

    number: int = 1
    pages: int = 1
    entries: int = 0

    def links(self, order: Order) -> dict[str, str]:
        """Return the relative references of the pages before and after this one, by relation (RFC 8288)."""
        others = {"prev": self.number - 1, "next": self.number + 1}
        return {rel: page_query(order, at) for rel, at in others.items() if 1 <= at <= self.pages}


KEYS: dict[str, Callable[[Entry], tuple[int | str, str]]] = {
    "name": lambda entry: (entry.name.casefold(), entry.name),
    "size": lambda entry: (entry.size_bytes, entry.name),
    "time": lambda entry: (entry.modified_s or 0, entry.name),
}
_UNITS = ("B", "kB", "MB", "GB", "TB")
_MAX_PAGE_DIGITS = 9
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # control and bidirectional characters


def parse_order(query: str, *, times: bool = True) -> Order:
    """Return the order of `sort=name|size|time` and `order=asc|desc`; anything else means the default.

    Without `times` there is no order by them.
    """
    fields = _fields(query)
    key = fields.get("sort", "name")
    return Order(key if key in KEYS and (times or key != "time") else "name", fields.get("order") == "desc")


def parse_page(query: str) -> int:
    """Return the number of `page=2`; anything else means the first page."""
    text = _fields(query).get("page", "")
    usable = text.isascii() and text.isdecimal() and len(text) <= _MAX_PAGE_DIGITS
    return max(int(text), 1) if usable else 1


def page_query(order: Order, page: int) -> str:
    """Return the query, with its question mark, for a page in an order."""
    fields = [each for each in (order.query, f"page={page}" if page > 1 else "") if each]
    return "?" + "&".join(fields)


def _fields(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, max_num_fields=16))
    except ValueError:
        return {}


def arrange(entries: Sequence[Entry], order: Order) -> list[Entry]:
    """Return the entries in order, folders first; equal for equal entries on every replica."""
    ordered = sorted(entries, key=KEYS[order.key], reverse=order.descending)
    return sorted(ordered, key=lambda entry: not entry.is_folder)


def wants_json(accept: str | None) -> bool:
    """Return whether the client prefers JSON to HTML."""
    return media_weight(accept, JSON) > media_weight(accept, HTML)


def as_json(path: str, entries: Sequence[Entry], order: Order, page: Page) -> bytes:
    """Return a JSON object with `path`, `complete` (these are all entries), `entries`; times in seconds since 1970.

    An entry whose name cannot be shown as it is has an `href` too. Several pages add this page's number, the number of
    pages and of all entries, and references to the pages before and after.
    """
    rows = [_fields_of(entry) for entry in entries]
    several = page.pages > 1
    where = {"page": page.number, "pages": page.pages, "total": page.entries} | page.links(order) if several else {}
    listing = {"path": _shown(path), "complete": not several, **where, "entries": rows}
    return json.dumps(listing, separators=(",", ":")).encode()


def _fields_of(entry: Entry) -> dict[str, object]:
    shown, kind = _shown(entry.name), "directory" if entry.is_folder else "file"
    size: dict[str, object] = {} if entry.is_folder else {"size": entry.size_bytes}
    time: dict[str, object] = {} if entry.modified_s is None else {"mtime": entry.modified_s}
    href: dict[str, object] = {} if shown == entry.name else {"href": _href(entry)}
    return {"name": shown, "type": kind} | time | size | href


def as_html(path: str, entries: Sequence[Entry], order: Order, page: Page) -> bytes:
    """Return an HTML page with a row for each entry, links that sort, and links to the pages before and after."""
    columns = "".join([_column(key, order) for key in KEYS])
    parent = "" if path == "/" else _UP
    rows = "".join([_row(entry) for entry in entries])
    title = _escaped(_shown(path))
    return f"{_HEAD.format(title=title)}{columns}</tr>\n{parent}{rows}</table>\n{_others(order, page)}{_END}".encode()


# No template: it takes ten times as long, and its first use as long as a thousand rows.
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ padding: .2rem .8rem; text-align: left; white-space: nowrap }}
td:first-child {{ width: 100%; white-space: normal; word-break: break-all }}
td:nth-child(2) {{ text-align: right }}
tr:nth-child(even) {{ background: #8881 }}
</style>
</head>
<body>
<h1>{title}</h1>
<table>
<tr>"""
_UP = '<tr><td><a href="../">../</a></td><td></td><td></td></tr>\n'
_END = "</body>\n</html>\n"
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _row(entry: Entry) -> str:
    name = _escaped(_shown(entry.name)) + ("/" if entry.is_folder else "")
    size = "" if entry.is_folder else _human(entry.size_bytes)
    time = "" if entry.modified_s is None else format_date(entry.modified_s)
    return f'<tr><td><a href="{_escaped(_href(entry))}">{name}</a></td><td>{size}</td><td>{time}</td></tr>\n'


def _others(order: Order, page: Page) -> str:
    """Return the links to the other pages, "" if there are none."""
    if page.pages == 1:
        return ""
    words = {"prev": "previous", "next": "next"}
    links = "".join(
        [f'\n<a rel="{rel}" href="{_escaped(href)}">{words[rel]}</a>' for rel, href in page.links(order).items()]
    )
    return f"<p>Page {page.number} of {page.pages}, {page.entries} entries{links}</p>\n"


def _href(entry: Entry) -> str:
    return "./" + quote(entry.name, errors="surrogateescape") + ("/" if entry.is_folder else "")


def _column(key: str, order: Order) -> str:
    other_way = order.key == key and not order.descending
    return f'<th><a href="?sort={key}&amp;order={"desc" if other_way else "asc"}">{key}</a></th>'


def _shown(text: str) -> str:
    """Return printable text: names on disk may hold any bytes and control characters."""
    return _UNSHOWN.sub("\ufffd", text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _human(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if size >= 10 or unit == 0 else f"{size:.1f} {_UNITS[unit]}"
