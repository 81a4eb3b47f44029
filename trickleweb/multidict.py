"""Names with several values each, in order, for queries and forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from trickleweb.errors import HTTPError

V = TypeVar("V")


class MissingField(HTTPError):
    """The client left out a field that the handler requires: 400."""

    def __init__(self, name: str) -> None:
        super().__init__(400, f"The field {name[:100]!r} is missing.")


@dataclass(frozen=True, slots=True)
class MultiDict(Generic[V]):
    """An immutable list of (name, value) pairs, looked up by name."""

    pairs: tuple[tuple[str, V], ...] = ()
    _index: dict[str, tuple[V, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lists: dict[str, list[V]] = {}
        for name, value in self.pairs:
            lists.setdefault(name, []).append(value)
        self._index.update({name: tuple(values) for name, values in lists.items()})

    def __getitem__(self, name: str) -> V:
        """Return the first value of `name`; raise `MissingField`, answered 400."""
        values = self._index.get(name)
        if values is None:
            raise MissingField(name)
        return values[0]

    def get(self, name: str, default: V | None = None) -> V | None:
        """Return the first value of `name`, else `default`."""
        values = self._index.get(name)
        return values[0] if values else default

    def all(self, name: str) -> tuple[V, ...]:
        """Return every value of `name`, in the order sent."""
        return self._index.get(name, ())

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, each once, in the order first seen."""
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)
