"""How a folder is served: every choice with its default, in one value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trickleweb.files.respond import MAX_PARTS

REVALIDATE = "no-cache"  # kept, but asked about each time: the strong tag makes that one small exchange
FOREVER = "public, max-age=31536000, immutable"

_HEX = re.compile(r".+[.-](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}(?:\.[A-Za-z0-9]+)+")
_SHORT = re.compile(r".+[.-](?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{8}(?:\.[A-Za-z0-9]+)+", re.ASCII)
_BUILT = frozenset({"assets", "static", "_astro", "_next"})  # where bundlers put what they name by its hash
_MAX_NAME_CHARS = 255


@dataclass(frozen=True, slots=True)
class CacheRule:
    """Files whose path fits the glob `pattern` ("*.css", "img/*"; "*" crosses "/") get this Cache-Control."""

    pattern: str
    value: str


def cache_control(path: str, rules: Sequence[CacheRule] = ()) -> str:
    """The Cache-Control of a file: a rule's, else forever where its name holds a hash, else revalidation each time."""
    for rule in rules:
        if fnmatchcase(path, rule.pattern):
            return rule.value
    return FOREVER if is_hashed(path) else REVALIDATE


def is_hashed(path: str) -> bool:
    """Whether a file's name tells its content: `app.3f2a9c1b.js` anywhere, `app-BZ4kq8sR.js` in a bundler's folder.

    A wrong yes is worse than a wrong no, so a hash needs digits and letters both.
    """
    folder, _, name = path.rpartition("/")
    if len(name) > _MAX_NAME_CHARS:
        return False
    if _HEX.fullmatch(name):
        return True
    return not _BUILT.isdisjoint(folder.split("/")) and _SHORT.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """The choices for one site; paths are below its root."""

    index: tuple[str, ...] = ("index.html",)  # what a folder is answered with, the first that is there
    listing: bool = False  # else a folder without index is 404
    max_entries: int = 1000  # of a page of a listing: more helps nobody
    fallback: str = ""  # the page that a single-page application wants for its own routes, "index.html" mostly
    cache_rules: tuple[CacheRule, ...] = ()
    media_types: tuple[tuple[str, str], ...] = ()  # (suffix without dot, whole Content-Type), before the built-in ones
    precompressed: tuple[str, ...] = ("br", "zstd", "gzip")  # codings whose siblings are looked for
    max_parts: int = MAX_PARTS
