"""Weighted preferences, the common part of Accept and Accept-Encoding (RFC 9110 12.4.2)."""

from __future__ import annotations

import re

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
MAX_MEMBERS = 64  # more than honest clients send; the rest is ignored


def preferences(value: str) -> dict[str, int]:
    """Return each member in lower case with its weight in thousandths; a malformed weight is 0, the first mention
    counts.

    Other parameters of a member are dropped.
    """
    weights: dict[str, int] = {}
    for member in value.split(",", MAX_MEMBERS)[:MAX_MEMBERS]:
        name, *parameters = (part.strip(" \t").lower() for part in member.split(";"))
        if name:
            weights.setdefault(name, _weight(parameters))
    return weights


def _weight(parameters: list[str]) -> int:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip(" \t") == "q":
            return _thousandths(value.strip(" \t"))
    return 1000


def _thousandths(text: str) -> int:
    if not _WEIGHT.fullmatch(text):
        return 0
    whole, _, part = text.partition(".")
    return int(whole) * 1000 + int(part.ljust(3, "0"))


def media_weight(accept: str | None, media_type: str) -> int:
    """Return the client's weight of `media_type` ("text/html") in thousandths; a missing Accept takes anything."""
    if accept is None:
        return 1000
    weights = preferences(accept)
    family = media_type.partition("/")[0]
    return weights.get(media_type, weights.get(f"{family}/*", weights.get("*/*", 0)))
