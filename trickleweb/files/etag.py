"""Entity tags: reading lists of them, and the two ways to compare (RFC 9110 8.8.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_GAP = re.compile(r"[ \t]*(?:,[ \t]*)*")


@dataclass(frozen=True, slots=True)
class ETag:
    """One entity tag; `opaque` without its quotes."""

    opaque: str
    weak: bool = False


def parse_etag(text: str) -> ETag | None:
    """The one entity tag that `text` is, None if it is none."""
    found = _TAG.fullmatch(text)
    return ETag(found[2], found[1] is not None) if found else None


def parse_etags(text: str) -> tuple[ETag, ...]:
    """The tags of a comma-separated list, in time linear in its length; none at all if any member is malformed."""
    tags = []
    at = _end(_GAP, text, 0)
    while at < len(text):
        found = _TAG.match(text, at)
        if found is None:
            return ()
        tags.append(ETag(found[2], found[1] is not None))
        at = _end(_GAP, text, found.end())
        if at < len(text) and "," not in text[found.end() : at]:
            return ()
    return tuple(tags)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def matches_strongly(condition: str, etag: str) -> bool:
    """Whether If-Match's value names this tag; weak ones never match (RFC 9110 8.8.3.2)."""
    return condition.strip() == "*" or any(not tag.weak and f'"{tag.opaque}"' == etag for tag in parse_etags(condition))


def matches_weakly(condition: str, etag: str) -> bool:
    """Whether If-None-Match's value names this tag, be either of them strong or weak (RFC 9110 8.8.3.2)."""
    quoted = etag.removeprefix("W/")
    return condition.strip() == "*" or any(f'"{tag.opaque}"' == quoted for tag in parse_etags(condition))
