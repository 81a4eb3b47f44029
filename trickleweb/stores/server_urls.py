"""URLs of servers that hold stores. They may have a password, so no error repeats any part of one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from urllib.parse import SplitResult, parse_qsl, urlsplit

_MOST_CHARACTERS = 4096


def split_url(
    text: str, schemes: Collection[str], bad: Callable[[str], Exception]
) -> tuple[SplitResult, list[tuple[str, str]]]:
    """Return the parts of a URL and the parameters of its query; raise what `bad` makes of a reason."""
    if len(text) > _MOST_CHARACTERS or not text.isprintable() or " " in text:
        raise bad("it is too long, or has characters that are not printable")
    try:
        parts = urlsplit(text)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    except ValueError:
        raise bad("its parts are unclear") from None
    if parts.scheme not in schemes or parts.fragment or "@" in parts.path:
        raise bad("encode /, ?, # and @ in a password as %2F, %3F, %23 and %40")
    return parts, given


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which each of the secrets is replaced."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
