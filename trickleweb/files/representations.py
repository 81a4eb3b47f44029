"""A file as HTTP sees it: a resource with its metadata, and its variants that differ in content coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trickleweb.files.qvalues import preferences


@dataclass(frozen=True, slots=True)
class Variant:
    """One representation: exact bytes, their tag ("" is none) and coding ("" is none); times in seconds since 1970."""

    content: str  # the content name that `Slice` carries
    etag: str
    size_bytes: int
    modified_s: int | None
    coding: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """What lies at one path; `variants` begin with the plain one. `media_type` is the whole Content-Type."""

    media_type: str
    cache_control: str
    variants: tuple[Variant, ...]
    vary: str = ""  # the request's field by which this resource was chosen among others, "" for none

    def is_ahead(self, now_s: int) -> bool:
        """Whether anything of it is dated in the future, so that what is said of it changes as time goes on."""
        return any(each.modified_s is not None and each.modified_s > now_s for each in self.variants)


SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}  # coding -> what follows the file's own name; the better first
_ALIASES = {"gzip": "x-gzip"}  # RFC 9110 8.4.1.3


def choose(variants: Sequence[Variant], accept_encoding: str | None) -> Variant:
    """The variant the client likes best, the smallest among equals; the plain one, the first, fits everybody."""
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
