"""How long others may keep a file: the first rule whose pattern fits its path decides (RFC 9111 5.2.2, RFC 8246)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

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
