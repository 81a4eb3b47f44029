"""Build the bytes of a request from the arguments of a test."""

from __future__ import annotations

import base64
import json as jsons
import re
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypedDict
from urllib.parse import urlsplit

from trickleweb.forms import render_urlencoded
from trickleweb.testing.cookies import CookieJar

Fields = Mapping[str, Any] | Sequence[tuple[str, Any]]  # values as text; a list is a name with several
Bytes = bytes | str | IO[bytes]
File = Bytes | tuple[str, Bytes] | tuple[str, Bytes, str]  # data; or its name, data and type
Content = bytes | str | Iterable[bytes] | AsyncIterator[bytes]


class RequestOptions(TypedDict, total=False):
    """Options of a request."""

    params: Fields  # of the query, after those of the URL
    headers: Mapping[str, str] | Sequence[tuple[str, str]]
    cookies: Mapping[str, str]  # besides the client's own
    json: Any
    data: Fields  # of a form
    files: Mapping[str, File] | Sequence[tuple[str, File]]  # of a form too, which is multipart then
    content: Content  # the body as it is; an iterable goes in pieces, chunked
    auth: tuple[str, str]  # user and password, for HTTP Basic
    follow_redirects: bool
    most_bytes: int  # of the body, then it is abandoned: for endless streams


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to send: the head as on the wire, and the body."""

    method: str
    url: str
    head: bytes
    content: bytes | Iterable[bytes] | AsyncIterator[bytes]


def asked(
    method: str, url: str, base_url: str, own: Mapping[str, str], jar: CookieJar, options: RequestOptions
) -> Asked:
    """Return the request for a URL, or a path below `base_url`; `own` are default headers.

    Text is sent as UTF-8, as curl does: an application sees a header value beyond ASCII as Latin-1 of these bytes.
    """
    whole = absolute(base_url, url)
    parts = urlsplit(whole)
    query = "&".join(filter(None, (parts.query, render_urlencoded(_pairs(options.get("params", ()))))))
    path = parts.path or "/"
    target = f"{path}?{query}" if query else path
    content, media_type = _body(options)
    headers = _headers(options.get("headers", ()))
    mine = {name.lower() for name, _ in headers}
    headers = [(name, value) for name, value in own.items() if name.lower() not in mine] + headers
    given = {name.lower() for name, _ in headers}
    framing = _framing(method, content)
    cookie = _cookie_header(jar, path, parts.scheme == "https", options.get("cookies", {}))
    basic = base64.b64encode(":".join(options["auth"]).encode()).decode() if "auth" in options else ""
    implied = [("Host", parts.netloc), ("Authorization", f"Basic {basic}" if basic else "")]
    implied += [("Content-Type", media_type), *framing, ("Cookie", cookie)]
    fields = [(name, value) for name, value in implied if value and name.lower() not in given] + headers
    start = f"{parts.scheme}://{parts.netloc}{target}" if parts.scheme == "https" else target
    lines = [f"{method} {start} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return Asked(method, whole, "\r\n".join(lines).encode("utf-8", "surrogateescape"), content)


def absolute(base: str, url: str) -> str:
    """Return the whole URL of `url` relative to `base` (RFC 3986 5.2), with its dot segments.

    `urllib.parse.urljoin` would drop a ";" at the end.
    """
    url = url.partition("#")[0]
    if re.match(r"[a-z][a-z0-9+.-]*://", url, re.IGNORECASE):
        return url
    scheme, authority, path, query, _ = urlsplit(base)
    if url.startswith("//"):
        return f"{scheme}:{url}"
    if not url:
        url = f"{path}?{query}" if query else path
    elif url.startswith("?"):
        url = path + url
    elif not url.startswith("/"):
        url = f"{path.rpartition('/')[0]}/{url}"
    return f"{scheme}://{authority}{url}"


def _headers(given: Mapping[str, str] | Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(given.items() if isinstance(given, Mapping) else given)


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    lists = [(name, value if isinstance(value, list | tuple) else [value]) for name, value in pairs]
    return [(name, _text(each)) for name, values in lists for each in values]


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _body(options: RequestOptions) -> tuple[bytes | Iterable[bytes] | AsyncIterator[bytes], str]:
    """Return the body and its type; raise TypeError for two bodies."""
    kinds = [name for name in ("json", "data", "files", "content") if name in options]
    if len(kinds) > 1 and set(kinds) != {"data", "files"}:
        raise TypeError(f"a request has one body, not {' and '.join(kinds)}")
    if "files" in options:
        return _multipart(_pairs(options.get("data", ())), options["files"])
    if "data" in options:
        return render_urlencoded(_pairs(options["data"])).encode(), "application/x-www-form-urlencoded"
    if "json" in options:
        return jsons.dumps(options["json"]).encode(), "application/json"
    content = options.get("content", b"")
    return (content.encode(), "text/plain; charset=utf-8") if isinstance(content, str) else (content, "")


def _multipart(
    pairs: list[tuple[str, str]], files: Mapping[str, File] | Sequence[tuple[str, File]]
) -> tuple[bytes, str]:
    boundary = secrets.token_hex(16)
    parts = [(f'name="{_quoted(name)}"', "", value.encode()) for name, value in pairs]
    for name, file in files.items() if isinstance(files, Mapping) else files:
        filename, data, *kind = file if isinstance(file, tuple) else (name, file)
        disposition = f'name="{_quoted(name)}"; filename="{_quoted(filename)}"'
        body = data.encode() if isinstance(data, str) else data if isinstance(data, bytes) else data.read()
        parts.append((disposition, kind[0] if kind else "application/octet-stream", body))
    lines = []
    for disposition, media_type, body in parts:
        typed = f"Content-Type: {media_type}\r\n" if media_type else ""
        head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{typed}\r\n"
        lines += [head.encode(), body, b"\r\n"]
    return b"".join((*lines, f"--{boundary}--\r\n".encode())), f"multipart/form-data; boundary={boundary}"


def _quoted(text: str) -> str:
    """Escape as browsers do (WHATWG HTML 4.10.21.8)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _framing(method: str, content: object) -> list[tuple[str, str]]:
    if not isinstance(content, bytes):
        return [("Transfer-Encoding", "chunked")]
    return [("Content-Length", str(len(content)))] if content or method in ("POST", "PUT", "PATCH") else []


def _cookie_header(jar: CookieJar, path: str, https: bool, more: Mapping[str, str]) -> str:
    return "; ".join(
        filter(None, (jar.header(path, https=https), *(f"{name}={value}" for name, value in more.items())))
    )
