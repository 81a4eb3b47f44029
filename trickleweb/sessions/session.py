"""A client's session during a request: plain values by name, and messages for the next page."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import NamedTuple

from trickleweb.plain import Plain, dump_plain

MAX_FLASHES = 16  # pages that never show them must not fill the cookie


class Flash(NamedTuple):
    """A message shown once, on the next page."""

    text: str
    category: str


class Session(MutableMapping[str, Plain]):
    """A dict of plain values (see `plain`) that comes back with the client's next request.

    The client keeps it, sealed: it can neither read nor change it, but it can replay an old one. Revocable state and
    counters belong in a store.
    """

    __slots__ = ("_csrf", "_data", "_flashes", "_original", "began", "expires", "touched")

    def __init__(self, fields: dict[str, Plain] | None = None, *, began: int | None = None, expires: int = 0) -> None:
        """Restore a session from `fields`; `began` and `expires` in microseconds, None for a new session."""
        fields = fields or {}
        self._data: dict[str, Plain] = dict(fields.get("d", {}))
        self._flashes: list[list[str]] = list(fields.get("f", ()))
        self._csrf: str = fields.get("c", "")
        self._original = dump_plain(self.fields())
        self.began = began
        self.expires = expires
        self.touched = False  # whether a handler has used it

    def fields(self) -> dict[str, Plain]:
        """Return the state to seal, under short names, without empty parts."""
        named = {"d": self._data, "f": self._flashes, "c": self._csrf}
        return {name: value for name, value in named.items() if value}

    @property
    def changed(self) -> bool:
        """True if anything has changed, lists and dicts inside included; raises `NotPlain` as `dump_plain`."""
        return dump_plain(self.fields()) != self._original

    @property
    def csrf_secret(self) -> str:
        """The secret of the session's CSRF tokens; "" before the first."""
        return self._csrf

    @csrf_secret.setter
    def csrf_secret(self, secret: str) -> None:
        self._csrf = secret

    def flash(self, text: str, category: str = "info") -> None:
        """Keep a message for the next page that takes them; of more than 16 the oldest are lost."""
        self._flashes = [*self._flashes, [text, category]][-MAX_FLASHES:]

    def take_flashes(self) -> tuple[Flash, ...]:
        """Return the messages and forget them."""
        taken, self._flashes = tuple(Flash(*each) for each in self._flashes), []
        return taken

    def clear(self) -> None:
        """Forget everything, the CSRF secret too; call it at login and logout."""
        self._data.clear()
        self._flashes = []
        self._csrf = ""

    def __getitem__(self, name: str) -> Plain:
        return self._data[name]

    def __setitem__(self, name: str, value: Plain) -> None:
        dump_plain({name: value})  # fails here, where the traceback shows the caller
        self._data[name] = value

    def __delitem__(self, name: str) -> None:
        del self._data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)
