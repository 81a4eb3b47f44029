"""Options of a served folder, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass

from trickleweb.files.metadata import CacheRule

MAX_PARTS = 16  # of a multipart response: download tools use a few, attackers thousands


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """Options of one site; paths are below its root."""

    index: tuple[str, ...] = ("index.html",)  # the first that exists answers for a folder
    listing: bool = False  # else a folder without index is 404
    max_entries: int = 1000  # in one page of a listing
    times: bool = True  # in listings and Last-Modified: False where copies on several machines have other times
    fallback: str = ""  # answers unknown paths, for single-page applications; mostly "index.html"
    cache_rules: tuple[CacheRule, ...] = ()
    media_types: tuple[tuple[str, str], ...] = ()  # (suffix without dot, whole Content-Type), before the built-in ones
    precompressed: tuple[str, ...] = ("br", "zstd", "gzip")  # codings of siblings to look for
    max_parts: int = MAX_PARTS
