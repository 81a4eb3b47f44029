"""Conditional requests: entity tags, and preconditions in the order of RFC 9110 (8.8.3, 13.2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from trickleweb.headers import parse_date

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_GAP = re.compile(r"[ \t]*(?:,[ \t]*)*")


@dataclass(frozen=True, slots=True)
class ETag:
    """One entity tag; `opaque` without its quotes."""

    opaque: str
    weak: bool = False


def parse_etag(text: str) -> ETag | None:
    """Return the one entity tag in `text`, None if it is none."""
    found = _TAG.fullmatch(text)
    return ETag(found[2], found[1] is not None) if found else None


def parse_etags(text: str) -> tuple[ETag, ...]:
    """Return the tags of a comma-separated list, in time linear in its length; none if any member is malformed."""
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
    """Return whether If-Match's value names this tag; weak ones never match (RFC 9110 8.8.3.2)."""
    return condition.strip() == "*" or any(not tag.weak and f'"{tag.opaque}"' == etag for tag in parse_etags(condition))


def matches_weakly(condition: str, etag: str) -> bool:
    """Return whether If-None-Match's value names this tag, strong or weak (RFC 9110 8.8.3.2)."""
    quoted = etag.removeprefix("W/")
    return condition.strip() == "*" or any(f'"{tag.opaque}"' == quoted for tag in parse_etags(condition))


class Precondition(Enum):
    """Result of the preconditions of a GET or HEAD."""

    PROCEED = auto()
    NOT_MODIFIED = auto()  # 304
    FAILED = auto()  # 412


@dataclass(frozen=True, slots=True)
class Validators:
    """Validators of a version: its entity tag, "" for none, and seconds since 1970 if known."""

    etag: str
    modified_s: int | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """The values of a request's conditional fields; None where the field is absent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None


def judge(conditions: Conditions, current: Validators, *, now_s: int) -> Precondition:
    """Return the result of these conditions for a GET or HEAD; If-Range is not among them. `now_s` dates two-digit
    years.
    """
    if _is_stale_for_writer(conditions, current, now_s):
        return Precondition.FAILED
    if conditions.if_none_match is not None:
        same = matches_weakly(conditions.if_none_match, current.etag)
        return Precondition.NOT_MODIFIED if same else Precondition.PROCEED
    since = _seconds(conditions.if_modified_since, now_s)
    if since is None or current.modified_s is None or current.modified_s > since:
        return Precondition.PROCEED
    return Precondition.NOT_MODIFIED


def _is_stale_for_writer(conditions: Conditions, current: Validators, now_s: int) -> bool:
    if conditions.if_match is not None:
        return not matches_strongly(conditions.if_match, current.etag)
    since = _seconds(conditions.if_unmodified_since, now_s)
    return since is not None and current.modified_s is not None and current.modified_s > since


def range_applies(if_range: str | None, current: Validators, *, now_s: int) -> bool:
    """Return whether the Range field applies: no If-Range, or one that names exactly this version (RFC 9110 13.1.5).

    A weak tag never does, nor a date that is merely later than the version's; nor any date without a strong tag, for
    the file may have changed twice within that second (8.8.2.2).
    """
    if if_range is None:
        return True
    if not current.etag.startswith('"'):
        return False
    if tag := parse_etag(if_range):
        return not tag.weak and f'"{tag.opaque}"' == current.etag
    return current.modified_s is not None and _seconds(if_range, now_s) == current.modified_s


def _seconds(date: str | None, now_s: int) -> int | None:
    return None if date is None else parse_date(date, now_seconds=now_s)
