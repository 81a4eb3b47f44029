"""Values that can be sealed and come back the same anywhere: what JSON holds, and nothing that it would change."""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

from trickleweb.errors import WebError

# None, bool, int, float, str, lists of them and dicts with text keys; the checker cannot say it of nested literals
Plain: TypeAlias = Any


class NotPlain(WebError, TypeError):
    """A value that would come back changed, or not at all: a tuple, a date, bytes, a dict with other keys than text."""


class StateTooLarge(WebError, ValueError):
    """State that travels with the client is too large: keep it in a shared store, and only its key in the state."""


def dump_plain(value: Plain) -> bytes:
    """The value as compact JSON, equal values in equal bytes; `NotPlain` if it would not come back equal."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        data = text.encode("utf-8")
        same = json.loads(text) == value
    except (TypeError, ValueError, RecursionError) as exc:
        raise NotPlain(str(exc)) from None
    if not same:
        raise NotPlain("a value that JSON would change: lists in place of tuples, and text as the keys of dicts")
    return data


def load_plain(data: bytes) -> Plain:
    """The value that these bytes of UTF-8 say; ValueError for any other bytes, and for numbers that are none."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number beyond all floats")
    return number
