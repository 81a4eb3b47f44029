"""Values with parameters, as in `form-data; name="a"`, for Content-Type and Content-Disposition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = re.compile(rf"[ \t]*({_TOKEN}(?:/{_TOKEN})?)")
_NEXT = re.compile(rf'[ \t]*;[ \t]*(?:({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)"))?', re.DOTALL)
_BLANKS = re.compile(r"[ \t]*")
_ESCAPED = re.compile(r'\\(["\\])')
MAX_PARAMETERS = 16  # real fields have at most five
_NONE: Mapping[str, str] = MappingProxyType({})


class Parametrised(NamedTuple):
    """A value in lower case, and its parameters by name in lower case."""

    value: str
    parameters: Mapping[str, str] = _NONE


def parse_parameters(text: str) -> Parametrised:
    """Return the parts of `value; name=token; name="quoted"` (RFC 9110 5.6.6), in linear time.

    ValueError for other text, a parameter given twice, and more than 16. A backslash escapes only a quote and a
    backslash, as some browsers send file names with others in them.
    """
    found = _VALUE.match(text)
    if found is None:
        raise ValueError("no value")
    parameters: dict[str, str] = {}
    at = found.end()
    while after := _NEXT.match(text, at):
        at = after.end()
        if after[1]:
            _put(parameters, after)
    if _BLANKS.match(text, at).end() != len(text):  # type: ignore[union-attr]
        raise ValueError("malformed parameters")
    return Parametrised(found[1].lower(), MappingProxyType(parameters))


def _put(parameters: dict[str, str], found: re.Match[str]) -> None:
    name = found[1].lower()
    if name in parameters or len(parameters) >= MAX_PARAMETERS:
        raise ValueError("a parameter given twice, or too many of them")
    parameters[name] = found[2] if found[2] is not None else _ESCAPED.sub(r"\1", found[3])


def quoted(text: str) -> str:
    """Return text as a quoted string; ValueError for a control character (RFC 9110 5.6.4)."""
    if not text.isprintable():
        raise ValueError("a control character in a parameter")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
