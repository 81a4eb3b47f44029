"""The routing table: from a method and a path to an endpoint, and from a name back to the path.

Where several templates match a path, the earlier segments decide first: literal text before parameters, more literal
text around a parameter before less, kinds before plain `str`, `path` last; then the order of registration. A method
that the preferred template lacks is looked up in the others. Mounts answer the rest, the longest prefix first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from trickleweb.convertors import CONVERTORS, Convertor
from trickleweb.paths import PathTemplate, joined, parse_template
from trickleweb.routing.routes import BadRoute, Entry, Mount, NoSuchRoute, Route, flattened
from trickleweb.routing.tree import Leaf, RouteNode, leaves, mounts

E = TypeVar("E")
_NO_PARAMS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Found(Generic[E]):
    """An endpoint answers; `rest` is a mount's part of the path, from a slash on, and "" for a route."""

    by: Route[E] | Mount[E]
    params: Mapping[str, Any]
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


_MISSING = Missing()


class Router(Generic[E]):
    """An immutable table of routes; equal tables answer alike on every replica.

    `redirect_slashes` redirects from `/users/` to `/users`, or back, where only the other exists.
    """

    def __init__(
        self,
        entries: Iterable[Entry[E]] = (),
        *,
        convertors: Mapping[str, Convertor] = CONVERTORS,
        redirect_slashes: bool = True,
    ) -> None:
        self.routes: tuple[Route[E] | Mount[E], ...] = tuple(flattened(entries))
        self._convertors = convertors
        self._redirect_slashes = redirect_slashes
        self._tree: RouteNode[E] = RouteNode()
        self._names: dict[str, PathTemplate] = {}
        self._methods: set[str] = set()
        static: dict[str, Leaf[E]] = {}
        for each in self.routes:
            self._add(each, static)
        self._static = {path: _found_by_method(leaf) for path, leaf in static.items()}

    def match(self, method: str, path: str) -> Verdict[E]:
        """Return the verdict for `method` on a decoded path with its dot segments resolved; "*" is the server
        itself.
        """
        known = self._static.get(path)
        if known is not None and (found := known.get(method)) is not None:
            return found
        if path == "*" and method == "OPTIONS":
            return _refused(method, self._methods)
        return self._search(method, path) if path.startswith("/") else _MISSING

    def url_for(self, name: str, /, **params: object) -> str:
        """Return the percent-encoded path of a named route; of a mount, with `path` for the part below it.

        Raise `NoSuchRoute` for an unknown name, `BadParameter` for parameters that do not fit.
        """
        template = self._names.get(name)
        if template is None:
            raise NoSuchRoute(f"no route is called {name!r}; there are {', '.join(sorted(self._names)) or 'none'}")
        return template.build(params)

    def _add(self, each: Route[E] | Mount[E], static: dict[str, Leaf[E]]) -> None:
        if isinstance(each, Mount):
            prefix = parse_template(joined(each.prefix, "/"), self._convertors)
            self._tree.put_mount(prefix, each)
            if each.name:
                self._name(each.name, parse_template(joined(each.prefix, "/{path:path}"), self._convertors))
            return
        template = parse_template(each.path, self._convertors)
        leaf = self._tree.leaf_for(template)
        leaf.add(each)
        self._methods |= leaf.routes.keys()
        if template.is_static:
            static[template.text] = leaf
        if each.name:
            self._name(each.name, template)

    def _name(self, name: str, template: PathTemplate) -> None:
        """Register a name; two routes may share it if they share the path, as the methods of one resource do."""
        if self._names.setdefault(name, template) != template:
            raise BadRoute(f"two paths are called {name!r}: {self._names[name].text} and {template.text}")

    def _search(self, method: str, path: str) -> Verdict[E]:
        segments = path[1:].split("/")
        allowed: set[str] = set()
        for leaf, values in leaves(self._tree, segments):
            route = leaf.routes.get(method)
            if route is not None:
                return Found(route, dict(zip(leaf.template.names, values, strict=True)))
            allowed |= leaf.routes.keys()
        if allowed:
            return _refused(method, allowed)
        for mounted, values, rest in mounts(self._tree, segments):
            return Found(mounted.mount, dict(zip(mounted.names, values, strict=True)), rest)
        return self._elsewhere(path)

    def _elsewhere(self, path: str) -> Moved | Missing:
        """Return the path with the other final slash, if it is routed; never one that would name another host."""
        other = path[:-1] if path.endswith("/") else path + "/"
        if not self._redirect_slashes or not other or other.startswith("//"):
            return _MISSING
        segments = other[1:].split("/")
        there = next(leaves(self._tree, segments), None) or next(mounts(self._tree, segments), None)
        return Moved(other) if there else _MISSING


def _found_by_method(leaf: Leaf[E]) -> dict[str, Found[E]]:
    """Return the verdicts of a template without parameters, made once for all requests."""
    return {method: Found(route, _NO_PARAMS) for method, route in leaf.routes.items()}


def _refused(method: str, allowed: set[str]) -> Options | NotAllowed:
    allow = tuple(sorted(allowed | {"OPTIONS"}))
    return Options(allow) if method == "OPTIONS" else NotAllowed(allow)
