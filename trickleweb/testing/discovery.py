"""GET paths of a program that can be requested without further knowledge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trickleweb.app import App
from trickleweb.application import Application
from trickleweb.routing import Route
from trickleweb.routing.routes import flattened


def paths_of(application: Application) -> tuple[list[str], list[str]]:
    """Return the GET paths without parameters, and the templates with some; each sorted, empty if unknown."""
    found = set(_own(application) if isinstance(application, App) else _foreign(getattr(application, "program", None)))
    plain = {path for path in found if "{" not in path and "<" not in path}
    return sorted(plain), sorted(found - plain)


def _own(app: App) -> Iterator[str]:
    for each in flattened(app.entries()):
        if isinstance(each, Route) and "GET" in each.methods:
            yield each.path


def _foreign(program: Any) -> Iterator[str]:
    """Yield Starlette's, FastAPI's or Flask's routes."""
    for route in getattr(program, "routes", None) or ():
        if "GET" in (getattr(route, "methods", None) or ()):
            yield str(route.path)
    url_map = getattr(program, "url_map", None)
    for rule in url_map.iter_rules() if url_map is not None else ():
        if "GET" in (rule.methods or ()):
            yield str(rule.rule)
