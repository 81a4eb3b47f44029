"""Names with several values each, in order: queries and forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from trickleweb.errors import HTTPError

V = TypeVar("V")


class MissingField(HTTPError):
    """The client left out a field that the handler cannot do without: 400."""

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
        """The first value of `name`; `MissingField`, which the client sees as 400, if there is none."""
        values = self._index.get(name)
        if values is None:
            raise MissingField(name)
        return values[0]

    def get(self, name: str, default: V | None = None) -> V | None:
        """The first value of `name`, else `default`."""
        values = self._index.get(name)
        return values[0] if values else default

    def all(self, name: str) -> tuple[V, ...]:
        """Every value of `name`, in the order sent."""
        return self._index.get(name, ())

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[str]:
        """Each name once, in the order first seen."""
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)
