"""Path templates such as `/users/{id:int}/files/{rest:path}`, parsed once, and filled in to build URLs.

A segment is literal text, or one parameter with literal text around it (`report-{day:date}.csv`): with one parameter in
a segment there is one way to read it, without a search. `{name}` is short for `{name:str}`.
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
    """A path template that no request could match, or in more than one way; the text names the fix."""


class BadParameter(WebError, ValueError):
    """A URL cannot be built: a parameter is missing, unknown, or not of its kind."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A segment of constant decoded text."""

    text: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A segment with a value of some kind between two literal texts."""

    prefix: str
    name: str
    convertor: Convertor
    suffix: str

    def read(self, text: str) -> Any:
        """Return the value in a decoded segment (or rest of a path); raise ValueError."""
        inner = len(text) - len(self.suffix)
        if inner < len(self.prefix) or not text.startswith(self.prefix) or not text.endswith(self.suffix):
            raise ValueError("other text around the parameter")
        return self.convertor.parse(text[len(self.prefix) : inner])

    def write(self, value: object) -> str:
        """Return the decoded segment that reads as `value`; raise `BadParameter`."""
        try:
            return f"{self.prefix}{self.convertor.write(value)}{self.suffix}"
        except ValueError as exc:
            raise BadParameter(f"{self.name}: {exc}") from None


Segment = Literal | Parameter


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A parsed template; `segments` are the parts between slashes, after the first one."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(each.name for each in self.segments if isinstance(each, Parameter))

    @property
    def is_static(self) -> bool:
        """True if one path alone matches."""
        return not self.names

    def build(self, values: Mapping[str, object]) -> str:
        """Return the percent-encoded path that matches with these values; raise `BadParameter`."""
        if values.keys() != set(self.names):
            raise BadParameter(f"{self.text} takes {sorted(self.names)}, not {sorted(values)}")
        texts = (each.text if isinstance(each, Literal) else each.write(values[each.name]) for each in self.segments)
        return quote_path("/" + "/".join(texts))


def parse_template(text: str, convertors: Mapping[str, Convertor] = CONVERTORS) -> PathTemplate:
    """Return a template, written decoded with a leading slash; raise `BadTemplate` with the reason."""
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
        raise BadTemplate(f"{text!r}: a parameter that spans segments must come last")
    return template


def quote_path(path: str) -> str:
    """Return a decoded path as in a URL (RFC 3986 3.3)."""
    return quote(path, safe=_SAFE)


def joined(prefix: str, inner: str) -> str:
    """Return the template of `inner` below `prefix`, which may end in a slash."""
    return prefix.rstrip("/") + inner


def _segment(text: str, template: str, convertors: Mapping[str, Convertor]) -> Segment:
    if "{" not in text and "}" not in text:
        if text in (".", ".."):
            raise BadTemplate(f"{template!r}: requests' paths hold no dot segments")
        return Literal(text)
    found = _PARAMETER.fullmatch(text)
    if found is None:
        raise BadTemplate(f"{template!r}: a segment has one parameter, {{name}} or {{name:kind}}")
    prefix, name, kind, suffix = found[1], found[2], found[3] or "str", found[4]
    if not name.isidentifier():
        raise BadTemplate(f"{template!r}: {name!r} cannot name a parameter")
    if kind not in convertors:
        raise BadTemplate(f"{template!r}: {kind!r} is not one of the kinds {', '.join(sorted(convertors))}")
    if convertors[kind].spans and (prefix or suffix):
        raise BadTemplate(f"{template!r}: a parameter that spans segments has no text around it")
    return Parameter(prefix, name, convertors[kind], suffix)
