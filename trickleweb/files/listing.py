"""A folder's listing, for eyes (HTML) and for programs (JSON): the entries, their order, their text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from trickleweb.files.qvalues import media_weight
from trickleweb.headers import format_date

JSON = "application/json"
HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder; folders have no size."""

    name: str
    is_folder: bool
    size_bytes: int
    modified_s: int


@dataclass(frozen=True, slots=True)
class Order:
    """By what entries are sorted; folders always come first."""

    key: str = "name"
    descending: bool = False


_KEYS: dict[str, Callable[[Entry], tuple[int | str, str]]] = {
    "name": lambda entry: (entry.name.casefold(), entry.name),
    "size": lambda entry: (entry.size_bytes, entry.name),
    "time": lambda entry: (entry.modified_s, entry.name),
}
_LAST_SECOND = 253_402_300_799  # of the year 9999, the last that HTTP can write
_UNITS = ("B", "kB", "MB", "GB", "TB")


def parse_order(query: str) -> Order:
    """The order that `sort=name|size|time` and `order=asc|desc` ask for; anything else counts as the default."""
    try:
        fields = dict(parse_qsl(query, max_num_fields=16))
    except ValueError:
        return Order()
    key = fields.get("sort", "name")
    return Order(key if key in _KEYS else "name", fields.get("order") == "desc")


def arrange(entries: Sequence[Entry], order: Order) -> list[Entry]:
    """The entries in order, folders first; the same list for the same entries on every replica."""
    ordered = sorted(entries, key=_KEYS[order.key], reverse=order.descending)
    return sorted(ordered, key=lambda entry: not entry.is_folder)


def wants_json(accept: str | None) -> bool:
    """Whether JSON is what the client likes better; an indifferent client gets HTML."""
    return media_weight(accept, JSON) > media_weight(accept, HTML)


def as_json(path: str, entries: Sequence[Entry], *, complete: bool) -> bytes:
    """An object with `path`, `complete` (false if the folder holds more) and `entries`; times in seconds since 1970."""
    rows = [
        {"name": entry.name, "type": "directory" if entry.is_folder else "file", "mtime": entry.modified_s}
        | ({} if entry.is_folder else {"size": entry.size_bytes})
        for entry in entries
    ]
    return json.dumps({"path": path, "complete": complete, "entries": rows}, separators=(",", ":")).encode()


def as_html(path: str, entries: Sequence[Entry], order: Order, *, complete: bool) -> bytes:
    """A page with a row for each entry and links that sort."""
    from trickleweb.templating import render  # most replicas never list a folder, and all of them start quickly

    page = render(
        "listing.html",
        path=_shown(path),
        parent=path != "/",
        rows=[_row(entry) for entry in entries],
        columns=[_column(key, order) for key in _KEYS],
        complete=complete,
    )
    return page.encode()


def _row(entry: Entry) -> dict[str, str]:
    slash = "/" if entry.is_folder else ""
    return {
        "href": "./" + quote(entry.name, errors="surrogateescape") + slash,
        "name": _shown(entry.name) + slash,
        "size": "" if entry.is_folder else _human(entry.size_bytes),
        "time": format_date(min(max(entry.modified_s, 0), _LAST_SECOND)),
    }


def _column(key: str, order: Order) -> dict[str, str]:
    other_way = order.key == key and not order.descending
    return {"title": key, "href": f"?sort={key}&order={'desc' if other_way else 'asc'}"}


def _shown(text: str) -> str:
    """Text that UTF-8 can write: names on disk may hold any bytes."""
    return text.encode("utf-8", "replace").decode()


def _human(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if size >= 10 or unit == 0 else f"{size:.1f} {_UNITS[unit]}"
