"""Values that JSON restores unchanged, so that they can be sealed anywhere and opened anywhere."""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

from trickleweb.errors import WebError

# None, bool, int, float, str, lists of them and dicts with text keys; mypy cannot express that for nested literals
Plain: TypeAlias = Any


class NotPlain(WebError, TypeError):
    """A value that JSON would change or refuse: a tuple, a date, bytes, a dict with keys that are not text."""


class StateTooLarge(WebError, ValueError):
    """State that is kept by the client is too large: keep it in a shared store, and only its key in the state."""


def dump_plain(value: Plain) -> bytes:
    """Return the value as compact JSON, equal bytes for equal values; raise `NotPlain` if it would not come back
    equal.
    """
    try:
        text = _ENCODER.encode(value)
        data = text.encode("utf-8")
        same = json.loads(text) == value
    except (TypeError, ValueError, RecursionError) as exc:
        raise NotPlain(str(exc)) from None
    if not same:
        raise NotPlain("a value that JSON would change: use lists for tuples, and text as keys of dicts")
    return data


def load_plain(data: bytes) -> Plain:
    """Return the value of UTF-8 JSON; raise ValueError for other bytes, NaN and infinite numbers."""
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number beyond all floats")
    return number


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
