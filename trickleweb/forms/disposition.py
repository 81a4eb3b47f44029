"""Header lines of a part of a multipart form (RFC 7578 4.2), as browsers and old programs write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.parameters import parse_parameters

_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f])*)")
_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")
_EXTENDED = re.compile(r"utf-8'[^']*'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9a-fA-F]{2})*)", re.IGNORECASE)  # RFC 8187


@dataclass(frozen=True, slots=True)
class PartHead:
    """A part's field name, and for a file the client's file name and media type."""

    name: str
    filename: str | None  # None for a text field
    content_type: str
    headers: Headers


def parse_part_head(block: bytes) -> PartHead:
    """Return a part's header from its lines, without the empty one after them; raise `HTTPError` 400."""
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("A part's header is not UTF-8.") from None
    headers = Headers(tuple(_field(line) for line in text.split("\r\n")))
    if (headers.get("content-transfer-encoding") or "").lower() not in _PLAIN_ENCODINGS:
        raise malformed("A part has a transfer encoding, which forms over HTTP do not.")
    name, filename = _disposition(headers.all("content-disposition"))
    default = "text/plain" if filename is None else "application/octet-stream"
    return PartHead(name, filename, headers.get("content-type") or default, headers)


def malformed(reason: str) -> HTTPError:
    """Return the error for a body that is no multipart form."""
    return HTTPError(400, reason)


def _field(line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise malformed("A part has a malformed header line.")
    return found[1], found[2].rstrip(" \t")


def _disposition(values: tuple[str, ...]) -> tuple[str, str | None]:
    if len(values) != 1:
        raise malformed("A part has one Content-Disposition.")
    try:
        kind, parameters = parse_parameters(values[0])
    except ValueError:
        raise malformed("A part has a malformed Content-Disposition.") from None
    if kind != "form-data" or "name" not in parameters:
        raise malformed("A part of a form is form-data and has a name.")
    plain = parameters.get("filename")
    filename = _unescaped(plain) if plain is not None else _extended(parameters.get("filename*"))
    return _unescaped(parameters["name"]), filename


def _unescaped(text: str) -> str:
    """Return a name with %22 as a quote: browsers escape that alone (WHATWG HTML 4.10.21.8)."""
    return text.replace("%22", '"')


def _extended(value: str | None) -> str | None:
    """Return a `filename*`, which RFC 7578 4.2 forbids and some programs send alone."""
    if value is None:
        return None
    found = _EXTENDED.fullmatch(value)
    try:
        return unquote(found[1], errors="strict") if found else _no_name()
    except UnicodeDecodeError:
        return _no_name()


def _no_name() -> str:
    raise malformed("A part has a malformed file name.")
