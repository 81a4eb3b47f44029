"""Plan the response to a GET or HEAD of a resource: a function of the resource and a few request fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from trickleweb.errors import HTTPError
from trickleweb.files.conditional import Conditions, Precondition, Validators, judge, range_applies
from trickleweb.files.options import MAX_PARTS
from trickleweb.files.qvalues import preferences
from trickleweb.files.ranges import Interval, boundary, content_range, multipart, select
from trickleweb.files.representations import Resource, Variant
from trickleweb.headers import Headers, Pair, format_date
from trickleweb.messages import Plan, Slice

_ALIASES = {"gzip": "x-gzip"}  # RFC 9110 8.4.1.3
NOSNIFF = ("X-Content-Type-Options", "nosniff")


class Ask(NamedTuple):
    """The request fields that the response depends on, besides the path; None where a field is absent."""

    method: str
    accept_encoding: str | None = None
    range: str | None = None
    if_range: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None


_ASKED = frozenset(name.replace("_", "-") for name in Ask._fields if name != "method")


def ask_of(method: str, headers: Headers) -> Ask:
    """Return the fields; a Range sent twice is malformed and ignored."""
    if _ASKED.isdisjoint([name.lower() for name, _ in headers.pairs]):
        return Ask(method)
    ranges = headers.all("range")
    return Ask(
        method,
        headers.joined("accept-encoding"),
        ranges[0] if len(ranges) == 1 else None,
        headers.get("if-range"),
        headers.joined("if-match"),
        headers.joined("if-none-match"),
        headers.joined("if-modified-since"),
        headers.joined("if-unmodified-since"),
    )


def respond(resource: Resource, ask: Ask, *, now_s: int, max_parts: int = MAX_PARTS) -> Plan:
    """Return the plan for a GET or HEAD: 200, 206 or 304; raise `HTTPError` 412 or 416.

    As in `Plan`, HEAD carries the pieces of the GET, which the renderer does not send.
    """
    variant = _not_ahead(choose(resource.variants, ask.accept_encoding), now_s)
    validators = Validators(variant.etag, variant.modified_s)
    if ask.if_match is not None and ask.if_match.strip() != "*" and not variant.etag.startswith('"'):
        raise HTTPError(503, "The file is being hashed.", headers=(("Retry-After", "1"),))
    conditions = Conditions(
        ask.if_match, ask.if_none_match, ask.if_modified_since, ask.if_unmodified_since, ask.if_range
    )
    verdict = judge(conditions, validators, now_s=now_s)
    if verdict is Precondition.FAILED:
        raise HTTPError(412, "The file is not the version you named.")
    if verdict is Precondition.NOT_MODIFIED:
        return Plan(304, Headers(_cache_fields(resource, variant)))
    answer = _Answer(resource, variant)
    if ask.method != "GET" or ask.range is None or not range_applies(ask.if_range, validators, now_s=now_s):
        return answer.whole()
    intervals = select(ask.range, variant.size_bytes, max_parts=max_parts)
    return answer.whole() if intervals is None else answer.partial(intervals)


def is_ahead(resource: Resource, now_s: int) -> bool:
    """Return whether any date is in the future, so that the response changes with time."""
    return any(each.modified_s is not None and each.modified_s > now_s for each in resource.variants)


def _not_ahead(variant: Variant, now_s: int) -> Variant:
    """Return the variant with a future date replaced by now (RFC 9110 8.8.2.1)."""
    if variant.modified_s is None or variant.modified_s <= now_s:
        return variant
    return replace(variant, modified_s=now_s)


def choose(variants: Sequence[Variant], accept_encoding: str | None) -> Variant:
    """Return the variant that the client prefers, the smallest among equals; the plain one, the first, suits all."""
    plain, *coded = variants
    if not coded or accept_encoding is None:
        return plain
    weights = preferences(accept_encoding)
    liked = [(weight, -at.size_bytes, at) for at in coded if (weight := _weight(weights, at.coding))]
    if not liked:
        return plain
    best, _, chosen = max(liked, key=lambda each: each[:2])
    return plain if weights.get("identity", 0) > best else chosen


def _weight(weights: dict[str, int], coding: str) -> int:
    anything = weights.get("*", 0)
    return weights.get(coding, weights.get(_ALIASES.get(coding, ""), anything))


@dataclass(frozen=True, slots=True)
class _Answer:
    """The successful responses for one variant of a resource."""

    resource: Resource
    variant: Variant

    def whole(self) -> Plan:
        return Plan(200, self._headers(self.resource.media_type), _whole(self.variant))

    def partial(self, intervals: tuple[Interval, ...]) -> Plan:
        """Return 206 with these intervals; raise 416 if there are none (RFC 9110 15.3.7, 15.5.17)."""
        size_bytes = self.variant.size_bytes
        if not intervals:
            raise HTTPError(416, "The file is shorter.", headers=(("Content-Range", f"bytes */{size_bytes}"),))
        if len(intervals) == 1:
            extent = ("Content-Range", content_range(intervals[0], size_bytes))
            piece = Slice(self.variant.content, *intervals[0])
            return Plan(206, self._headers(self.resource.media_type, extent), (piece,))
        limit = boundary(self.variant.etag, self.variant.content)
        pieces = multipart(
            self.variant.content, intervals, size_bytes, media_type=self.resource.media_type, limit=limit
        )
        return Plan(206, self._headers(f"multipart/byteranges; boundary={limit}"), pieces)

    def _headers(self, content_type: str, *more: Pair) -> Headers:
        variant = self.variant
        coding = (("Content-Encoding", variant.coding),) if variant.coding else ()
        dated = (("Last-Modified", format_date(variant.modified_s)),) if variant.modified_s is not None else ()
        return Headers(
            (
                ("Content-Type", content_type),
                *coding,
                *more,
                *dated,
                *_cache_fields(self.resource, variant),
                ("Accept-Ranges", "bytes"),
                NOSNIFF,
            )
        )


def _cache_fields(resource: Resource, variant: Variant) -> tuple[Pair, ...]:
    """Return the fields that a cache needs, in a 304 too (RFC 9110 15.4.5)."""
    tag = [("ETag", variant.etag)] if variant.etag else []
    fields = [*tag, ("Cache-Control", resource.cache_control)]
    chosen_by = [resource.vary] if resource.vary else []
    if len(resource.variants) > 1:
        chosen_by.append("Accept-Encoding")
    return (*fields, ("Vary", ", ".join(chosen_by))) if chosen_by else tuple(fields)


def _whole(variant: Variant) -> tuple[Slice, ...]:
    return (Slice(variant.content, 0, variant.size_bytes),) if variant.size_bytes else ()
