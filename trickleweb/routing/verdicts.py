"""Verdicts of a router about a request: exactly one of five kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trickleweb.routing.routes import Mount, Route

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Found(Generic[E]):
    """An endpoint answers; `rest` is a mount's part of the path, from a slash on, and "" for a route."""

    by: Route[E] | Mount[E]
    params: dict[str, Any]
    rest: str = ""

    @property
    def endpoint(self) -> E:
        return self.by.endpoint


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The path has a route, for other methods: 405 with these, sorted, in Allow."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """OPTIONS without a route of its own: 204 with these, sorted, in Allow."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """The path with the other final slash has a route: 308 to this decoded path."""

    path: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The path has no route: 404."""


Verdict = Found[E] | NotAllowed | Options | Moved | Missing
