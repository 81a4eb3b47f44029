"""How a folder is served: every choice with its default, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from trickleweb.files.cachecontrol import CacheRule
from trickleweb.files.respond import MAX_PARTS


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
