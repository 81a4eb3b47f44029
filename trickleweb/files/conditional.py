"""Which preconditions hold, in the order the RFC gives them (RFC 9110 13.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from trickleweb.files.etag import matches_strongly, matches_weakly, parse_etag
from trickleweb.headers import parse_date


class Verdict(Enum):
    """What the preconditions make of a GET or HEAD."""

    PROCEED = auto()
    NOT_MODIFIED = auto()  # 304
    FAILED = auto()  # 412


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a representation from another: a tag, "" for none, and seconds since 1970 if known."""

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


def judge(conditions: Conditions, current: Validators, *, now_s: int) -> Verdict:
    """What a GET or HEAD with these conditions gets; If-Range is no part of it. `now_s` dates two-digit years."""
    if _is_stale_for_writer(conditions, current, now_s):
        return Verdict.FAILED
    if conditions.if_none_match is not None:
        same = matches_weakly(conditions.if_none_match, current.etag)
        return Verdict.NOT_MODIFIED if same else Verdict.PROCEED
    since = _seconds(conditions.if_modified_since, now_s)
    if since is None or current.modified_s is None or current.modified_s > since:
        return Verdict.PROCEED
    return Verdict.NOT_MODIFIED


def _is_stale_for_writer(conditions: Conditions, current: Validators, now_s: int) -> bool:
    if conditions.if_match is not None:
        return not matches_strongly(conditions.if_match, current.etag)
    since = _seconds(conditions.if_unmodified_since, now_s)
    return since is not None and current.modified_s is not None and current.modified_s > since


def range_applies(if_range: str | None, current: Validators, *, now_s: int) -> bool:
    """Whether the Range field counts: no If-Range, or one that names exactly this version (RFC 9110 13.1.5).

    A weak tag never does, nor a date that is merely later than the version's; nor any date while there is no strong
    tag, for the file may have changed twice within that second (8.8.2.2).
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
