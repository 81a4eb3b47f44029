"""Options of a served folder, with their defaults."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trickleweb.files.respond import MAX_PARTS

REVALIDATE = "no-cache"  # cached but revalidated each time: cheap with a strong tag
FOREVER = "public, max-age=31536000, immutable"

_HEX = re.compile(r".+[.-](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}(?:\.[A-Za-z0-9]+)+")
_SHORT = re.compile(r".+[.-](?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{8}(?:\.[A-Za-z0-9]+)+", re.ASCII)
_BUILT = frozenset({"assets", "static", "_astro", "_next"})  # where bundlers put files named by hash
_MAX_NAME_CHARS = 255


@dataclass(frozen=True, slots=True)
class CacheRule:
    """Cache-Control for files whose path matches the glob `pattern` ("*.css", "img/*"; "*" crosses "/")."""

    pattern: str
    value: str


def cache_control(path: str, rules: Sequence[CacheRule] = ()) -> str:
    """Return the Cache-Control of a file: a rule's, else forever where its name holds a hash, else revalidation."""
    for rule in rules:
        if fnmatchcase(path, rule.pattern):
            return rule.value
    return FOREVER if is_hashed(path) else REVALIDATE


def is_hashed(path: str) -> bool:
    """Return whether a file's name holds a hash: `app.3f2a9c1b.js` anywhere, `app-BZ4kq8sR.js` in a bundler's folder.

    A wrong yes is worse than a wrong no, so a hash needs both digits and letters.
    """
    folder, _, name = path.rpartition("/")
    if len(name) > _MAX_NAME_CHARS:
        return False
    if _HEX.fullmatch(name):
        return True
    return not _BUILT.isdisjoint(folder.split("/")) and _SHORT.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """Options of one site; paths are below its root."""

    index: tuple[str, ...] = ("index.html",)  # the first that exists answers for a folder
    listing: bool = False  # else a folder without index is 404
    max_entries: int = 1000  # in one page of a listing
    fallback: str = ""  # answers unknown paths, for single-page applications; mostly "index.html"
    cache_rules: tuple[CacheRule, ...] = ()
    media_types: tuple[tuple[str, str], ...] = ()  # (suffix without dot, whole Content-Type), before the built-in ones
    precompressed: tuple[str, ...] = ("br", "zstd", "gzip")  # codings of siblings to look for
    max_parts: int = MAX_PARTS
