"""Kinds of path parameters: one table whose entries both read a parameter from a path and write it into one.

Reading is strict, so that one value has one spelling and writing inverts reading; the exceptions are `float` (any
number of trailing zeros) and `uuid` (either case). Every kind takes time linear in the text, and bounds it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID  # the type of a value; nothing here makes one up

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_FLOAT = re.compile(r"-?[0-9]{1,309}(?:\.[0-9]{1,400})?")  # holds any finite float in full
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INTEGER_BOUND = 1 << 63  # fits a database column and a varint
_DOTS = (".", "..")


@dataclass(frozen=True, slots=True)
class Convertor:
    """One kind of parameter: `parse` reads decoded text (ValueError if it is none), `build` writes it.

    A kind that `spans` takes the rest of a path with its slashes; others take text within one segment.
    """

    name: str
    parse: Callable[[str], Any]
    build: Callable[[Any], str] = str
    spans: bool = False

    def write(self, value: object) -> str:
        """Return the text that reads as `value`; raise ValueError if none does."""
        try:
            text = self.build(value)
            same = self.parse(text) == value
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            same = False
        if not same:
            raise ValueError(f"{value!r} is no {self.name}")
        return text


def parse_string(text: str) -> str:
    """Return text of one segment of a URL: not empty, no slash, no dot segment (RFC 3986 5.2.4)."""
    if not text or "/" in text or text in _DOTS:
        raise ValueError("no text of one segment")
    return _storable(text)


def parse_path(text: str) -> str:
    """Return a relative path: names between slashes, perhaps one at the end; no empty, `.` or `..` segments."""
    *folders, last = text.split("/")
    if not text or "" in folders or last in _DOTS or any(dots in folders for dots in _DOTS):
        raise ValueError("no relative path")
    return _storable(text)


def parse_integer(text: str) -> int:
    """Return a 64-bit integer from its shortest form."""
    number = int(text) if _INTEGER.fullmatch(text) else _INTEGER_BOUND
    if abs(number) >= _INTEGER_BOUND:
        raise ValueError("no 64-bit integer")
    return number


def parse_float(text: str) -> float:
    """Return a finite number from text without exponent."""
    number = float(text) if _FLOAT.fullmatch(text) else math.inf
    if math.isinf(number):
        raise ValueError("no finite number")
    return number


def build_float(value: float) -> str:
    """Return the shortest digits that read as the same number, without exponent."""
    return format(Decimal(repr(value)), "f")


def parse_uuid(text: str) -> UUID:
    """Return a UUID from its usual form, 8-4-4-4-12 (RFC 9562 4)."""
    if not _UUID.fullmatch(text):
        raise ValueError("no UUID")
    return UUID(text)


def parse_date(text: str) -> date:
    """Return a day from text like 2024-02-29."""
    if not _DATE.fullmatch(text):
        raise ValueError("no date")
    return date.fromisoformat(text)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL is refused in every path")
    text.encode("utf-8")  # a lone surrogate has no percent-encoding: UnicodeEncodeError is a ValueError
    return text


CONVERTORS: Mapping[str, Convertor] = MappingProxyType(
    {
        each.name: each
        for each in (
            Convertor("str", parse_string),
            Convertor("int", parse_integer),
            Convertor("float", parse_float, build_float),
            Convertor("uuid", parse_uuid),
            Convertor("date", parse_date),
            Convertor("path", parse_path, spans=True),
        )
    }
)
