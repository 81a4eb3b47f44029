"""Path templates such as `/users/{id:int}/files/{rest:path}`: parsed once, then filled in to build URLs.

A segment is literal text, or one parameter with literal text around it (`report-{day:date}.csv`): with no second
parameter in a segment there is one way to read it, and no search. `{name}` is short for `{name:str}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from trickleweb.convertors import CONVERTORS, Convertor
from trickleweb.errors import WebError

_PARAMETER = re.compile(r"([^{}]*)\{([^{}:]*)(?::([^{}]*))?\}([^{}]*)")
_SAFE = "/!$&'()*+,;=:@~"  # RFC 3986 3.3, pchar
_REFUSED = re.compile(r"[?#%\x00-\x1f\x7f]")


class BadTemplate(WebError, ValueError):
    """A path template that no request could match, or more than one way; the text says what to write instead."""


class BadParameter(WebError, ValueError):
    """A URL cannot be built: a parameter is missing, unknown, or not of its kind."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A segment that is `text`, decoded."""

    text: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A segment that is a value of some kind between two literal texts."""

    prefix: str
    name: str
    convertor: Convertor
    suffix: str

    def read(self, text: str) -> Any:
        """The value in a decoded segment (or rest of a path); ValueError if it is none."""
        inner = len(text) - len(self.suffix)
        if inner < len(self.prefix) or not text.startswith(self.prefix) or not text.endswith(self.suffix):
            raise ValueError("other text around the parameter")
        return self.convertor.parse(text[len(self.prefix) : inner])

    def write(self, value: object) -> str:
        """The decoded segment that reads as `value`; `BadParameter` if there is none."""
        try:
            return f"{self.prefix}{self.convertor.write(value)}{self.suffix}"
        except ValueError as exc:
            raise BadParameter(f"{self.name}: {exc}") from None


Segment = Literal | Parameter


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A parsed template; `segments` are what stands between the slashes, behind the first one."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(each.name for each in self.segments if isinstance(each, Parameter))

    @property
    def is_static(self) -> bool:
        """Whether one path alone matches."""
        return not self.names

    def build(self, values: Mapping[str, object]) -> str:
        """The percent-encoded path that matches with these values; `BadParameter` if there is none."""
        if values.keys() != set(self.names):
            raise BadParameter(f"{self.text} takes {sorted(self.names)}, not {sorted(values)}")
        texts = (each.text if isinstance(each, Literal) else each.write(values[each.name]) for each in self.segments)
        return quote_path("/" + "/".join(texts))


def parse_template(text: str, convertors: Mapping[str, Convertor] = CONVERTORS) -> PathTemplate:
    """Read a template, written decoded and with one slash in front; `BadTemplate` says what is wrong with it."""
    if not text.startswith("/") or _REFUSED.search(text):
        raise BadTemplate(f"{text!r}: a path begins with '/' and is written decoded, without query or fragment")
    *inner, last = text[1:].split("/")
    if "" in inner:
        raise BadTemplate(f"{text!r} has an empty segment")
    segments = tuple(_segment(each, text, convertors) for each in (*inner, last))
    template = PathTemplate(text, segments)
    if len(set(template.names)) != len(template.names):
        raise BadTemplate(f"{text!r} names a parameter twice")
    if any(isinstance(each, Parameter) and each.convertor.spans for each in segments[:-1]):
        raise BadTemplate(f"{text!r}: what spans segments is the last parameter, with nothing behind it")
    return template


def quote_path(path: str) -> str:
    """A decoded path as a URL has it (RFC 3986 3.3)."""
    return quote(path, safe=_SAFE)


def joined(prefix: str, inner: str) -> str:
    """The template of `inner` below `prefix`; a slash at the prefix's end makes no difference."""
    return prefix.rstrip("/") + inner


def _segment(text: str, template: str, convertors: Mapping[str, Convertor]) -> Segment:
    if "{" not in text and "}" not in text:
        if text in (".", ".."):
            raise BadTemplate(f"{template!r}: no request's path holds a dot segment")
        return Literal(text)
    found = _PARAMETER.fullmatch(text)
    if found is None:
        raise BadTemplate(f"{template!r}: a segment holds one parameter, {{name}} or {{name:kind}}")
    prefix, name, kind, suffix = found[1], found[2], found[3] or "str", found[4]
    if not name.isidentifier():
        raise BadTemplate(f"{template!r}: {name!r} is no name of a parameter")
    if kind not in convertors:
        raise BadTemplate(f"{template!r}: {kind!r} is none of the kinds {', '.join(sorted(convertors))}")
    if convertors[kind].spans and (prefix or suffix):
        raise BadTemplate(f"{template!r}: what spans segments begins and ends with one")
    return Parameter(prefix, name, convertors[kind], suffix)
