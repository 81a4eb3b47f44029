"""One client's session while a request is handled: plain values by name, and messages for the next page."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import NamedTuple

from trickleweb.plain import Plain, dump_plain

MAX_FLASHES = 16  # a page that never shows them must not fill the cookie


class Flash(NamedTuple):
    """A message that is shown once, on the next page."""

    text: str
    category: str


class Session(MutableMapping[str, Plain]):
    """A dict of plain values (see `plain`) that comes back with the client's next request.

    The client keeps it, sealed: it can neither read nor change it, but it can bring an old one back. What must be
    revocable, or counted, belongs in a store.
    """

    __slots__ = ("_csrf", "_data", "_flashes", "_original", "began", "expires", "touched")

    def __init__(self, fields: dict[str, Plain] | None = None, *, began: int | None = None, expires: int = 0) -> None:
        """`fields` as `fields` gave them; `began` and `expires` in microseconds, None for a session just begun."""
        fields = fields or {}
        self._data: dict[str, Plain] = dict(fields.get("d", {}))
        self._flashes: list[list[str]] = list(fields.get("f", ()))
        self._csrf: str = fields.get("c", "")
        self._original = dump_plain(self.fields())
        self.began = began
        self.expires = expires
        self.touched = False  # whether a handler has had it in its hands

    def fields(self) -> dict[str, Plain]:
        """All that is sealed, under short names; what is empty takes no room."""
        named = {"d": self._data, "f": self._flashes, "c": self._csrf}
        return {name: value for name, value in named.items() if value}

    @property
    def changed(self) -> bool:
        """Whether anything is different from what came, lists and dicts inside included; `NotPlain` as `dump_plain`."""
        return dump_plain(self.fields()) != self._original

    @property
    def csrf_secret(self) -> str:
        """What the session's CSRF tokens are made of; "" before the first."""
        return self._csrf

    @csrf_secret.setter
    def csrf_secret(self, secret: str) -> None:
        self._csrf = secret

    def flash(self, text: str, category: str = "info") -> None:
        """Keep a message for the next page that takes them; of too many the oldest are lost."""
        self._flashes = [*self._flashes, [text, category]][-MAX_FLASHES:]

    def take_flashes(self) -> tuple[Flash, ...]:
        """The messages, which are gone now."""
        taken, self._flashes = tuple(Flash(*each) for each in self._flashes), []
        return taken

    def clear(self) -> None:
        """Forget everything, the CSRF secret too: do so when somebody logs in or out."""
        self._data.clear()
        self._flashes = []
        self._csrf = ""

    def __getitem__(self, name: str) -> Plain:
        return self._data[name]

    def __setitem__(self, name: str, value: Plain) -> None:
        dump_plain({name: value})  # here, where the program's author sees who did it
        self._data[name] = value

    def __delitem__(self, name: str) -> None:
        del self._data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)
