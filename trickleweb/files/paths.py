"""Convert a request's path to a path below the root that is safe to open; refuse all others (CWE-22)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from trickleweb.errors import HTTPError
from trickleweb.messages import RequestHead

MAX_NAME_BYTES = 255  # NAME_MAX of every usual file system
MAX_PATH_BYTES = 4000  # PATH_MAX less room for the root
WELL_KNOWN = ".well-known"  # RFC 8615: the one visible name with a dot
_PATH_SAFE = "!$&'()*+,;=:@~"  # RFC 3986 3.3, pchar
_QUERY_SAFE = _PATH_SAFE + "/?%"


@dataclass(frozen=True, slots=True)
class SafePath:
    """A path below the root: its names, and whether the request ended in a slash."""

    names: tuple[str, ...]
    slash: bool

    @property
    def relative(self) -> str:
        """The path below the root, "" for the root itself."""
        return "/".join(self.names)


def safe_path(path: str) -> SafePath:
    """Check a decoded request path.

    Raise `HTTPError` 400 for invalid paths, 414 for long ones, 404 for paths that climb, are hidden or cannot name a
    file. Empty names are skipped, as in POSIX. Names may hold all characters of Linux file names, with bytes that are
    not UTF-8 as lone surrogates (PEP 383); they are percent-encoded or escaped in responses.
    """
    if not path.startswith("/") or "\0" in path:
        raise HTTPError(400, "This is not a path.")
    if _byte_count(path) > MAX_PATH_BYTES:
        raise HTTPError(414, "The path is too long.")
    names = tuple(name for name in path.split("/") if name)
    if any(map(_is_hidden, names[1:])) or (names and _is_hidden(names[0], but=WELL_KNOWN)):
        raise HTTPError(404)
    if any(_byte_count(name) > MAX_NAME_BYTES for name in names):
        raise HTTPError(404)
    return SafePath(names, path.endswith("/"))


def _is_hidden(name: str, but: str = "") -> bool:
    """Return whether a name begins with a dot, as "." and ".." do."""
    return name[0] == "." and name != but


def _byte_count(text: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise HTTPError(404) from None


def is_below_root(relative: str) -> bool:
    """Return whether a relative path from a continuation is one that `safe_path` could have made."""
    try:
        return safe_path("/" + relative).relative == relative
    except HTTPError:
        return False


def is_listed(name: str) -> bool:
    """Return whether requests may ask for this name: it has no leading dot."""
    return not _is_hidden(name)


def split_path(request: RequestHead, path: str | None) -> tuple[str, str]:
    """Return the part of a request's path above a mount, and the part below it, `path` if it is given.

    A request's path has U+FFFD for bytes that are not UTF-8: these are decoded again from the target.
    """
    inner = request.path if path is None else path
    if path is None and "\ufffd" not in inner:
        return "", inner
    above = request.path.removesuffix(inner)
    if "\ufffd" not in inner:
        return above, inner
    whole = unquote(request.raw_path, errors="surrogateescape")
    is_plain = request.path.endswith(inner) and whole.startswith(above) and "/." not in whole
    return above, whole[len(above) :] if is_plain else inner


def location(prefix: str, path: SafePath, query: str, *, folder: bool) -> str:
    """Return the Location of `path` in canonical form, with `query`; it begins with one slash, so it stays on this
    host.
    """
    names = [*(name for name in prefix.split("/") if name), *path.names]
    target = "/" + "/".join(quote(name, safe=_PATH_SAFE, errors="surrogateescape") for name in names)
    if folder and names:
        target += "/"
    return f"{target}?{quote(query, safe=_QUERY_SAFE, encoding='latin-1', errors='replace')}" if query else target
