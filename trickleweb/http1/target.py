"""Request targets and authorities (RFC 9112 3.2, RFC 3986): four forms read into one normal form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from trickleweb.http1.refusals import refused

_ABSOLUTE = re.compile(r"(https?)://([^/?]*)([^?]*)\??(.*)", re.IGNORECASE)
# Narrower than the grammar: no sub-delims, which no name has, and a comma means two joined Host fields.
_HOST = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,255})"
_AUTHORITY = re.compile(rf"{_HOST}(?::\d{{0,5}})?", re.ASCII)
_HOST_AND_PORT = re.compile(rf"{_HOST}:\d{{1,5}}", re.ASCII)
_MOST_PORT = 65_535
# RFC 3986 3.3, 3.4; the brackets of an address are checked with the address.
_TARGET = re.compile(
    r"(?:https?://[^/?]*)?(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?",
    re.IGNORECASE,
)
_ENCODED = {code: f"%{code:02X}" for code in range(256) if not re.match(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]", chr(code))}
_MOST_MOVED_CHARS = 300  # the room in a redirect that fits a continuation
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed target; `authority` is None unless the target itself names one."""

    path: str
    raw_path: str
    query: str = ""
    authority: str | None = None
    scheme: str = "http"


def parse_target_untrusted(method: str, target: str) -> Target:
    """Return the target in the form its method requires; raise HTTPError 400. Printable ASCII expected."""
    if "#" in target:
        raise refused(400, "fragment in the request target")
    if method == "CONNECT":
        return _authority_form(target)
    if target == "*" and method == "OPTIONS":
        return Target("*", "*")
    if target.startswith("/"):
        raw_path, _, query = target.partition("?")
        return Target(decode_path(raw_path), raw_path, query)
    return _absolute_form(method, target)


def check_authority(authority: str) -> str:
    """Return `host[:port]` if it is well formed; raise HTTPError 400 otherwise, also for user names in it."""
    if not _AUTHORITY.fullmatch(authority) or not _is_sound(authority):
        raise refused(400, "invalid host")
    return authority


def _is_sound(authority: str) -> bool:
    """Return whether an address in brackets is IPv6, and the port in range."""
    host, _, port = authority.rpartition("]") if "]" in authority else authority.partition(":")
    port = port.removeprefix(":")
    if port and int(port) > _MOST_PORT:
        return False
    if not host.startswith("["):
        return True
    from ipaddress import IPv6Address  # rarely needed; imported late for a quick start

    try:
        IPv6Address(host[1:])
    except ValueError:
        return False
    return True


def encoded_target(method: str, target: str) -> str | None:
    """Return the encoded form of an invalid target, for a redirect; None for a valid one.

    RFC 9112 3.2: it is not corrected silently, since intermediaries may read it otherwise. Raise HTTPError 400 for a
    target that is no path, or has no short encoded form.
    """
    if _TARGET.fullmatch(target):
        return None
    match = _ABSOLUTE.fullmatch(target)
    if match is not None:
        check_authority(match[2])
    raw = target if match is None or target.startswith("/") else (match[3] or "/") + target.partition("?")[1] + match[4]
    path, mark, query = raw.partition("?")
    if _BROKEN_ESCAPE.search(path):
        raise refused(400, "broken percent-escape in the path")
    encoded = path.translate(_ENCODED) + mark + _BROKEN_ESCAPE.sub("%25", query).translate(_ENCODED)
    is_path = raw.startswith("/") and not raw.startswith("//")
    if method == "CONNECT" or not is_path or "#" in raw or len(encoded) > _MOST_MOVED_CHARS:
        raise refused(400, "malformed request target")
    return encoded


def decode_path(raw_path: str) -> str:
    """Return a percent-decoded path with its dot segments, plain or escaped, resolved (RFC 3986 5.2.4).

    Raise HTTPError 400 for a broken escape, a NUL, or a path that climbs above the root. Bytes that are not UTF-8
    become U+FFFD: no resource has such a name, so none is found.
    """
    if _BROKEN_ESCAPE.search(raw_path):
        raise refused(400, "broken percent-escape in the path")
    path = unquote(raw_path)
    if "\0" in path:
        raise refused(400, "NUL in the path")
    return _resolve_dots(path) if "/." in path else path


def _resolve_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if not kept:
                raise refused(400, "the path climbs above the root")
            kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _authority_form(target: str) -> Target:
    if not _HOST_AND_PORT.fullmatch(target) or not _is_sound(target):
        raise refused(400, "CONNECT asks for host:port")
    return Target("", "", authority=target.lower())


def _absolute_form(method: str, target: str) -> Target:
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise refused(400, "malformed request target")
    scheme, authority, raw_path, query = match.groups()
    if method == "OPTIONS" and not raw_path and not query:
        raw_path = path = "*"  # RFC 9112 3.2.4: as the last proxy sends it
    else:
        raw_path = raw_path or "/"
        path = decode_path(raw_path)
    return Target(path, raw_path, query, check_authority(authority).lower(), scheme.lower())
