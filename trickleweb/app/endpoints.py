"""A handler as a route has it: what it takes beside the request, and what its route says of its bodies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, isasyncgenfunction, isgeneratorfunction, signature
from typing import Any, TypeVar

from trickleweb.app.pool import is_async
from trickleweb.errors import WebError

H = TypeVar("H", bound=Callable[..., Any])
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class BadHandler(WebError, TypeError):
    """A function that cannot be a handler, or not of its path; the text says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A handler: it takes the request, and those of the path's parameters that it names."""

    handler: Callable[..., Any]
    wants: frozenset[str]  # of the path's parameters, by name
    needs: frozenset[str]  # those without a default
    wants_all: bool  # it takes **params
    is_async: bool  # it runs on the loop
    max_body_bytes: int | None = None  # None: as the application has it
    stream: bool = False  # it reads its body itself, as it comes
    repeatable: bool = False  # twice does no harm: see `Terms`
    named: bool = False  # its route's name was given, not taken from the function

    def check(self, path: str, names: tuple[str, ...]) -> None:
        """`BadHandler` if it needs a parameter that the path does not have."""
        missing = sorted(self.needs.difference(names))
        if missing:
            there = ", ".join(names) or "none"
            raise BadHandler(f"{_name(self.handler)} needs {', '.join(missing)}, of which {path} has {there}")

    def arguments(self, params: dict[str, Any]) -> dict[str, Any]:
        """What it is called with beside the request."""
        if self.wants_all:
            return params
        return {name: value for name, value in params.items() if name in self.wants}


def endpoint(handler: Callable[..., Any], **options: Any) -> Endpoint:
    """The endpoint of a function; `BadHandler` for one that takes no request, or yields."""
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
