"""The cookies of a test's client."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import NamedTuple


class Kept(NamedTuple):
    """One cookie, sent below `path`, and only over https if `secure`."""

    value: str
    path: str = "/"
    secure: bool = False


class CookieJar(MutableMapping[str, str]):
    """Cookies of one host by name; without a clock, only the server removes them."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def learn(self, set_cookie: str) -> str:
        """Apply a Set-Cookie field; return the cookie's name."""
        pair, *attributes = set_cookie.split(";")
        name, _, value = pair.strip().partition("=")
        found = {key.strip().lower(): text for key, _, text in (each.partition("=") for each in attributes)}
        if found.get("max-age") == "0":
            self._kept.pop(name, None)
        else:
            self._kept[name] = Kept(value, found.get("path") or "/", "secure" in found)
        return name

    def header(self, path: str, *, https: bool) -> str:
        """Return the value of the Cookie field for a request, "" for none; longer paths first (RFC 6265bis 5.8.3)."""
        fitting = [
            (name, kept) for name, kept in self._kept.items() if _is_below(path, kept.path) and https >= kept.secure
        ]
        return "; ".join(f"{name}={kept.value}" for name, kept in sorted(fitting, key=lambda each: -len(each[1].path)))

    def __getitem__(self, name: str) -> str:
        return self._kept[name].value

    def __setitem__(self, name: str, value: str) -> None:
        self._kept[name] = Kept(value)

    def __delitem__(self, name: str) -> None:
        del self._kept[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def _is_below(path: str, folder: str) -> bool:
    """Return whether a path matches a cookie's path (RFC 6265bis 5.1.4)."""
    return path == folder or path.startswith(folder if folder.endswith("/") else f"{folder}/")
