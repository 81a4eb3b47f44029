"""All templates as one tree of segments, searched depth first in order of priority.

A node stands for one beginning of some templates, so a search visits each node at most once: its time is bounded by the
number of routes and the path's length, whatever the path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from trickleweb.paths import Literal, Parameter, PathTemplate, Segment
from trickleweb.routing.routes import BadRoute, Mount, Route

E = TypeVar("E")
Values = tuple[Any, ...]  # of the parameters, in order


@dataclass(slots=True)
class Leaf(Generic[E]):
    """The routes of one template by method; HEAD is added with GET."""

    template: PathTemplate
    routes: dict[str, Route[E]] = field(default_factory=dict)

    def add(self, route: Route[E]) -> None:
        """Add a route; raise `BadRoute` if one of its methods is taken."""
        for method in sorted(route.methods):
            other = self.routes.get(method)
            if other is not None and method in other.methods:
                raise BadRoute(f"{method} {route.path} is answered by two routes, {other.name!r} and {route.name!r}")
            self.routes[method] = route
        if "GET" in route.methods:
            self.routes.setdefault("HEAD", route)


@dataclass(frozen=True, slots=True)
class Mounted(Generic[E]):
    """A mount, and the names of the parameters in its prefix."""

    mount: Mount[E]
    names: tuple[str, ...]


@dataclass(slots=True)
class RouteNode(Generic[E]):
    """The next segments of some templates: literals, parameters, then parameters for the rest of the path."""

    literals: dict[str, RouteNode[E]] = field(default_factory=dict)
    parameters: list[tuple[Parameter, RouteNode[E]]] = field(default_factory=list)
    tails: list[tuple[Parameter, Leaf[E]]] = field(default_factory=list)
    leaf: Leaf[E] | None = None
    mounted: Mounted[E] | None = None

    def leaf_for(self, template: PathTemplate) -> Leaf[E]:
        """Return the leaf of a template, created if missing."""
        *inner, last = template.segments
        if isinstance(last, Parameter) and last.convertor.spans:
            return self._descend(inner)._tail(last, template)
        node = self._descend(template.segments)
        node.leaf = node.leaf or Leaf(template)
        return node.leaf

    def put_mount(self, template: PathTemplate, mount: Mount[E]) -> None:
        """Put a mount below its prefix, whose template ends in a slash; raise `BadRoute` if one is there."""
        node = self._descend(template.segments[:-1])
        if node.mounted is not None:
            raise BadRoute(f"two mounts at {mount.prefix!r}")
        node.mounted = Mounted(mount, template.names)

    def _descend(self, segments: Sequence[Segment]) -> RouteNode[E]:
        node = self
        for segment in segments:
            node = node._literal(segment.text) if isinstance(segment, Literal) else node._parameter(segment)
        return node

    def _literal(self, text: str) -> RouteNode[E]:
        return self.literals.setdefault(text, RouteNode())

    def _parameter(self, parameter: Parameter) -> RouteNode[E]:
        for known, child in self.parameters:
            if known == parameter:
                return child
        made: RouteNode[E] = RouteNode()
        self.parameters.append((parameter, made))
        self.parameters.sort(key=_rank)
        return made

    def _tail(self, parameter: Parameter, template: PathTemplate) -> Leaf[E]:
        for known, leaf in self.tails:
            if known == parameter:
                return leaf
        made: Leaf[E] = Leaf(template)
        self.tails.append((parameter, made))
        return made


Hit = tuple[Mounted[E], Values, str]  # with the rest of the path, from a slash on


def _rank(child: tuple[Parameter, RouteNode[E]]) -> tuple[int, bool]:
    """Return the sort key of a parameter: more literal text first, `str` after other kinds."""
    parameter = child[0]
    return -len(parameter.prefix) - len(parameter.suffix), parameter.convertor.name == "str"


def leaves(
    node: RouteNode[E], segments: Sequence[str], values: Values = (), at: int = 0
) -> Iterator[tuple[Leaf[E], Values]]:
    """Yield every leaf whose template matches, the preferred one first, with its parameters' values in order."""
    if at == len(segments):
        if node.leaf is not None:
            yield node.leaf, values
        return
    for child, read in _children(node, segments[at]):
        yield from leaves(child, segments, values + read, at + 1)
    for parameter, leaf in node.tails:
        read = _read(parameter, "/".join(segments[at:]))
        if read:
            yield leaf, values + read


def mounts(node: RouteNode[E], segments: Sequence[str], values: Values = (), at: int = 0) -> Iterator[Hit[E]]:
    """Yield every mount whose prefix matches, the longest first; a prefix without a slash after it does not."""
    if at == len(segments):
        return
    for child, read in _children(node, segments[at]):
        yield from mounts(child, segments, values + read, at + 1)
    if node.mounted is not None:
        yield node.mounted, values, "/" + "/".join(segments[at:])


def _children(node: RouteNode[E], segment: str) -> Iterator[tuple[RouteNode[E], Values]]:
    """Yield the nodes that a segment leads to, in order of priority, each with the values read."""
    literal = node.literals.get(segment)
    if literal is not None:
        yield literal, ()
    for parameter, child in node.parameters:
        read = _read(parameter, segment)
        if read:
            yield child, read


def _read(parameter: Parameter, text: str) -> Values:
    """Return the value in a tuple, or an empty tuple."""
    try:
        return (parameter.read(text),)
    except ValueError:
        return ()
