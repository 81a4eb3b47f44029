"""Choosing among the content codings that a file lies there in, made beforehand (RFC 9110 12.5.3)."""

from __future__ import annotations

from collections.abc import Sequence

from trickleweb.files.qvalues import preferences
from trickleweb.files.resource import Variant

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
