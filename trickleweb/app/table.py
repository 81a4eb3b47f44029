"""All that an application has registered, checked and in the form that answers requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from trickleweb.app.endpoints import Endpoint
from trickleweb.app.registry import Served
from trickleweb.paths import parse_template
from trickleweb.routing import BadRoute, Mount, Route, Router
from trickleweb.routing.routes import Entry, flattened

Placed = Route[Served] | Mount[Served]


def routed(entries: Iterable[Entry[Served]]) -> Router[Served]:
    """The router of these entries; `BadRoute` or `BadHandler` for one that could never answer.

    Where two paths would have the same function's name, the first one has it.
    """
    placed = list(flattened(entries))
    for each in placed:
        if isinstance(each.endpoint.by, Endpoint) and isinstance(each, Route):
            each.endpoint.by.check(each.path, parse_template(each.path).names)
    return Router(_named(placed))


def mount_path(prefix: str) -> str:
    """The path of an App mounted at `prefix`; `BadRoute` for one with parameters, of which its URLs know nothing."""
    if not parse_template(prefix or "/").is_static:
        raise BadRoute(f"{prefix}: an App is mounted at a path without parameters")
    return prefix.rstrip("/")


def _named(placed: list[Placed]) -> Iterator[Placed]:
    taken = {each.name: _path(each) for each in reversed(placed) if _is_named(each)}
    for each in placed:
        free = _is_named(each) or taken.setdefault(each.name, _path(each)) == _path(each)
        yield each if free else replace(each, name="")


def _path(each: Placed) -> str:
    return each.path if isinstance(each, Route) else f"{each.prefix}/"


def _is_named(each: Placed) -> bool:
    return not isinstance(each.endpoint.by, Endpoint) or each.endpoint.by.named
