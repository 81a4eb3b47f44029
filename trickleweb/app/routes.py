"""Registration of routes: decorators, groups, prefixes, mounts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import Parameter, isasyncgenfunction, isgeneratorfunction, signature
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

from trickleweb.app.pool import is_async
from trickleweb.application import Application
from trickleweb.bodies import Steps
from trickleweb.errors import WebError
from trickleweb.files import SiteOptions
from trickleweb.handlers import Middleware
from trickleweb.paths import joined, parse_template
from trickleweb.routing import BadRoute, Include, Mount, Route, Router
from trickleweb.routing.routes import Entry, flattened

H = TypeVar("H", bound=Callable[..., Any])
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class BadHandler(WebError, TypeError):
    """A function that cannot be a handler, or not of its path; the text names the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A handler with what its signature asks for: the request, then the path parameters it names."""

    handler: Callable[..., Any]
    wants: frozenset[str]  # of the path's parameters, by name
    needs: frozenset[str]  # those without a default
    wants_all: bool  # it takes **params
    is_async: bool  # it runs on the loop
    max_body_bytes: int | None = None  # None: as the application has it
    stream: bool = False  # it reads its body itself, as it comes
    repeatable: bool = False  # see `Terms`
    partial: bool = False  # see `Terms`
    named: bool = False  # its route's name was passed, not taken from the function

    def check(self, path: str, names: tuple[str, ...]) -> None:
        missing = sorted(self.needs.difference(names))
        if missing:
            there = ", ".join(names) or "none"
            raise BadHandler(f"{_name(self.handler)} needs {', '.join(missing)}, of which {path} has {there}")

    def arguments(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.wants_all:
            return params
        return {name: value for name, value in params.items() if name in self.wants}


def endpoint(handler: Callable[..., Any], **options: Any) -> Endpoint:
    """Return the endpoint of a function; raise `BadHandler` for one that takes no request, or yields."""
    if isgeneratorfunction(handler) or isasyncgenfunction(handler):
        raise BadHandler(f"{_name(handler)} yields: return Response.stream(...) of a generator, or Response.stepped")
    taken = list(signature(handler).parameters.values())
    if not taken or taken[0].kind not in (*_POSITIONAL, Parameter.VAR_POSITIONAL):
        raise BadHandler(f"{_name(handler)} takes no request: a handler's first parameter is the request")
    others = taken[1:]
    named = [each for each in others if each.kind in _BY_NAME]
    return Endpoint(
        handler=handler,
        wants=frozenset(each.name for each in named),
        needs=frozenset(each.name for each in named if each.default is Parameter.empty),
        wants_all=any(each.kind is Parameter.VAR_KEYWORD for each in others),
        is_async=is_async(handler),
        **options,
    )


def _name(handler: Callable[..., Any]) -> str:
    return f"{getattr(handler, '__qualname__', None) or type(handler).__qualname__}()"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of files, under the name by which all replicas know it."""

    name: str
    path: Path
    options: SiteOptions = field(default_factory=SiteOptions)


Target = Application | Folder  # what can be mounted


@dataclass(frozen=True, slots=True)
class Served:
    """The target of a route or mount, and the middleware of its groups, the outermost first."""

    by: Endpoint | Target
    middleware: tuple[Middleware, ...] = ()


class RouteOptions(TypedDict, total=False):
    """Options of a route besides its path."""

    name: str  # for `url_for`; by default the function's own
    middleware: Sequence[Middleware]  # around this route alone
    max_body_bytes: int | None  # a longer body is answered 413; None: the application's limit
    stream: bool  # the handler reads the body as it arrives; without, the body is read first
    repeatable: bool  # an unsafe request may run again after its replica died: twice does no harm
    partial: bool  # it also runs, again and again, while its body arrives: see `Request.is_whole`


class Routes:
    """A group of routes, to be included in an application or another group below a prefix.

    `middleware` wraps the whole group, inside that of the groups around it; the first one is outermost. Additions count
    until the application answers its first request.
    """

    def __init__(self, *, middleware: Sequence[Middleware] = ()) -> None:
        self._around = tuple(middleware)
        self._entries: list[Callable[[], Entry[Served]]] = []
        self._steps: list[Callable[[], Iterable[Steps]]] = []
        self._folders: list[Callable[[], Iterable[Folder]]] = []

    def route(
        self, path: str, *, methods: Iterable[str] = ("GET",), **options: Unpack[RouteOptions]
    ) -> Callable[[H], H]:
        """Decorate the handler of some methods on a path, such as "/users/{id:int}"; GET implies HEAD.

        Raise `BadTemplate`, `BadRoute` or `BadHandler` for a route that could never answer.
        """
        parse_template(path)
        name, middleware = options.pop("name", ""), tuple(options.pop("middleware", ()))

        def decorate(handler: H) -> H:
            made = endpoint(handler, **options, named=bool(name))
            given = name or getattr(handler, "__name__", "")
            self._add(Route(path, Served(made, middleware), frozenset(methods), given))
            return handler

        return decorate

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Decorate the handler of GET and HEAD on a path."""
        return self.route(path, methods=["GET"], **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Decorate the handler of POST on a path."""
        return self.route(path, methods=["POST"], **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Decorate the handler of PUT on a path."""
        return self.route(path, methods=["PUT"], **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Decorate the handler of PATCH on a path."""
        return self.route(path, methods=["PATCH"], **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Decorate the handler of DELETE on a path."""
        return self.route(path, methods=["DELETE"], **options)

    def include(self, prefix: str, group: Routes, *, name: str = "") -> None:
        """Add a group's routes below a prefix, which may have parameters; their names become `name:inner`."""
        parse_template(joined(prefix, "/"))
        self._entries.append(lambda: Include(prefix, tuple(group.entries()), name))
        self._steps.append(group.own_steps)
        self._folders.append(group.own_folders)
        self._changed()

    def mount(self, prefix: str, target: Target | str | os.PathLike[str], *, name: str = "") -> None:
        """Let an application or a folder answer all paths below a prefix that have no route.

        A path names a folder, called after the prefix. The application sees the rest of the path, and has its own
        middleware and error handlers.
        """
        parse_template(joined(prefix, "/"))
        if isinstance(target, str | os.PathLike):
            target = self.folder(prefix.strip("/"), target)
        self._add(Mount(prefix, Served(target), name))

    def folder(self, name: str, path: str | os.PathLike[str], options: SiteOptions | None = None) -> Folder:
        """Register a folder for `Response.file(..., folder=name)` and `mount`; raise `BadRoute` if it does not
        exist.
        """
        made = Folder(name, Path(path), options or SiteOptions())
        if not made.path.is_dir():
            raise BadRoute(f"{path} is no folder")
        self._folders.append(lambda: (made,))
        self._changed()
        return made

    def add_steps(self, *known: Steps) -> None:
        """Register steps, so that all replicas resume the bodies made of them."""
        self._steps.append(lambda: known)
        self._changed()

    def entries(self) -> Iterator[Entry[Served]]:
        """Yield the routes, mounts and groups in order."""
        for make in self._entries:
            yield _inside(self._around, make())

    def own_steps(self) -> Iterator[Steps]:
        """Yield the steps of the group and of its subgroups."""
        for known in self._steps:
            yield from known()

    def own_folders(self) -> Iterator[Folder]:
        """Yield the folders of the group and of its subgroups."""
        for known in self._folders:
            yield from known()

    def _add(self, entry: Entry[Served]) -> None:
        self._entries.append(lambda: entry)
        self._changed()

    def _changed(self) -> None:
        """Hook of `App`: something was registered."""


def _inside(middleware: tuple[Middleware, ...], entry: Entry[Served]) -> Entry[Served]:
    if not middleware:
        return entry
    if isinstance(entry, Include):
        return replace(entry, routes=tuple(_inside(middleware, each) for each in entry.routes))
    served = replace(entry.endpoint, middleware=(*middleware, *entry.endpoint.middleware))
    return replace(entry, endpoint=served)


Placed = Route[Served] | Mount[Served]


def routed(entries: Iterable[Entry[Served]]) -> Router[Served]:
    """Return the router of these entries; raise `BadRoute` or `BadHandler` for one that could never answer.

    Where two functions share a name, the first route has it.
    """
    placed = list(flattened(entries))
    for each in placed:
        if isinstance(each.endpoint.by, Endpoint) and isinstance(each, Route):
            each.endpoint.by.check(each.path, parse_template(each.path).names)
    return Router(_named(placed))


def mount_path(prefix: str) -> str:
    """Return the path of an App mounted at `prefix`; raise `BadRoute` for parameters, which `url_for` could not
    fill.
    """
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
