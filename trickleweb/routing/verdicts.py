"""What a router can say about a request: exactly one of five things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trickleweb.routing.routes import Mount, Route

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Found(Generic[E]):
    """This endpoint answers; `rest` is what a mount is told of the path, from a slash on, and "" for a route."""

    by: Route[E] | Mount[E]
    params: dict[str, Any]
    rest: str = ""

    @property
    def endpoint(self) -> E:
        return self.by.endpoint


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The path is there and the method is not: 405 with these, sorted, in Allow."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """OPTIONS, for which the program has no route of its own: 204 with these, sorted, in Allow."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """The same path with, or without, a slash at its end is there: 308 to this decoded path."""

    path: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing has this path: 404."""


Verdict = Found[E] | NotAllowed | Options | Moved | Missing
