"""`a=1&b=x+y`: queries and urlencoded forms, read strictly and written (WHATWG URL 5)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_plus, urlencode

from trickleweb.errors import HTTPError
from trickleweb.forms.values import DEFAULT_FORM_LIMITS, FormLimits
from trickleweb.multidict import MultiDict


def parse_urlencoded(data: bytes, limits: FormLimits = DEFAULT_FORM_LIMITS) -> MultiDict[str]:
    """Return the pairs in the order sent; a name without `=` has the value "".

    Raise `HTTPError` 400 for text that is not UTF-8, escaped or not; 413 for too many fields or one too long.
    """
    if data.count(b"&") >= limits.max_fields:
        raise HTTPError(413, f"There are more than {limits.max_fields} fields.")
    try:
        text = data.decode("utf-8")
        return MultiDict(tuple(_pair(each, limits) for each in text.split("&") if each))
    except UnicodeDecodeError:
        raise HTTPError(400, "A field is not UTF-8.") from None


def render_urlencoded(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the text that reads as these pairs."""
    return urlencode(list(pairs))


def _pair(text: str, limits: FormLimits) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if len(text) > limits.max_field_bytes:
        raise HTTPError(413, f"A field is longer than {limits.max_field_bytes} bytes.")
    return unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
