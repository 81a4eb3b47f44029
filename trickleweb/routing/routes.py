"""Entries of the routing table: routes, groups below a prefix, and mounted applications."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from trickleweb.errors import WebError
from trickleweb.paths import joined

E = TypeVar("E")
GET = frozenset({"GET"})


class BadRoute(WebError, ValueError):
    """Two indistinguishable routes, or one that can never be reached."""


class NoSuchRoute(WebError, LookupError):
    """A URL was requested for a name that no route has."""


@dataclass(frozen=True, slots=True)
class Route(Generic[E]):
    """`endpoint` answers `methods` on the paths of a template; GET implies HEAD, any method OPTIONS."""

    path: str
    endpoint: E
    methods: frozenset[str] = GET
    name: str = ""  # for `url_for`

    def __post_init__(self) -> None:
        if not self.methods or any(method != method.upper() or not method.isalpha() for method in self.methods):
            raise BadRoute(f"{self.path}: methods are words in capitals, at least one")


@dataclass(frozen=True, slots=True)
class Mount(Generic[E]):
    """`endpoint` answers every method on every path below `prefix` without a route, and gets the rest of the path."""

    prefix: str
    endpoint: E
    name: str = ""  # url_for(name, path="css/site.css")


@dataclass(frozen=True, slots=True)
class Include(Generic[E]):
    """Routes below a prefix, which may have parameters; their names become `name:inner` if `name` is given."""

    prefix: str
    routes: tuple[Route[E] | Mount[E] | Include[E], ...]
    name: str = ""


Entry = Route[E] | Mount[E] | Include[E]


def flattened(entries: Iterable[Entry[E]]) -> Iterator[Route[E] | Mount[E]]:
    """Yield every route and mount with its whole path and name, in order."""
    for entry in entries:
        if not isinstance(entry, Include):
            yield entry
            continue
        for inner in flattened(entry.routes):
            name = f"{entry.name}:{inner.name}" if entry.name and inner.name else inner.name
            if isinstance(inner, Route):
                yield replace(inner, path=joined(entry.prefix, inner.path), name=name)
            else:
                yield replace(inner, prefix=joined(entry.prefix, inner.prefix), name=name)
