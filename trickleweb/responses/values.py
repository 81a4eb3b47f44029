"""Header values made from what users type: file names and places to go to."""

from __future__ import annotations

import re
from urllib.parse import quote

from trickleweb.parameters import quoted

_NOT_PLAIN = re.compile(r"[^ -~]|[%\"\\/]")
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986 2.2, and what is escaped already
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


def content_disposition(filename: str, *, inline: bool = False) -> str:
    """A Content-Disposition that offers `filename` for saving (RFC 6266): plain for old programs, and in UTF-8."""
    kind = "inline" if inline else "attachment"
    plain = _NOT_PLAIN.sub("_", filename)
    if plain == filename:
        return f"{kind}; filename={quoted(plain)}"
    extended = quote(filename, safe="!#$&+^`|~", errors="replace")  # RFC 8187 3.2.1
    return f"{kind}; filename={quoted(plain)}; filename*=UTF-8''{extended}"


def location(url: str) -> str:
    """A URL as Location carries it: what is no URL character is escaped, so nothing can end the field."""
    return quote(url, safe=_URL_SAFE, errors="replace")


def local_target(url: str | None, default: str = "/") -> str:
    """`url` if it stays on this host (a path, one slash in front), else `default`: for `next=` in a login's query."""
    if not url or not url.startswith("/") or url.startswith("//") or _CONTROL.search(url):
        return default
    return url
