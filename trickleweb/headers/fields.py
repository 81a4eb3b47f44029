"""Header fields: several values of a name, in order, names compared without case (RFC 9110 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Headers:
    """An immutable list of (name, value) pairs, looked up by name without case."""

    pairs: tuple[Pair, ...] = ()
    _index: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of `name`, else `default`."""
        values = self._values().get(name.lower())
        return values[0] if values else default

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of `name`, in the order sent."""
        return self._values().get(name.lower(), ())

    def joined(self, name: str) -> str | None:
        """Return all values of `name` as one comma-separated list, None if there is none (RFC 9110 5.3)."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def tokens(self, name: str) -> tuple[str, ...]:
        """Return the comma-separated members of `name` in lower case, empty members dropped (RFC 9110 5.6.1)."""
        members = (member.strip(" \t").lower() for value in self.all(name) for member in value.split(","))
        return tuple(member for member in members if member)

    def with_pair(self, name: str, value: str) -> Headers:
        """Return these headers with `name` set to the single `value`."""
        return Headers((*self.without(name).pairs, (name, value)))

    def added(self, *pairs: Pair) -> Headers:
        """Return these headers followed by `pairs`."""
        return Headers((*self.pairs, *pairs))

    def without(self, *names: str) -> Headers:
        """Return these headers without the fields called one of `names`."""
        gone = {name.lower() for name in names}
        return Headers(tuple(pair for pair in self.pairs if pair[0].lower() not in gone))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values()

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def _values(self) -> dict[str, tuple[str, ...]]:
        """Return the index, built at the first lookup: many headers are only written."""
        if self._index or not self.pairs:
            return self._index
        index: dict[str, tuple[str, ...]] = {}
        for name, value in self.pairs:
            key = name.lower()
            index[key] = (*index.get(key, ()), value)
        self._index.update(index)
        return self._index


NO_HEADERS = Headers()
