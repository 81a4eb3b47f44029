"""A bounded cache of recent values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """At most `limit` values in two halves: when the newer is full it becomes the older, whose values are dropped.

    A look-up costs as much as a dict's. Values must be true. Hot code may look into `newer` first.
    """

    __slots__ = ("_half", "_old", "newer")

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self.newer: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self.newer) + len(self._old)

    def find(self, key: Key) -> Value | None:
        """Return the value of that key, if it is still cached; that makes it new again."""
        value = self.newer.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.add(key, value)
        return value

    def add(self, key: Key, value: Value) -> None:
        if len(self.newer) >= self._half:
            self._old, self.newer = self.newer, {}
        self.newer[key] = value

    def values(self) -> Iterator[Value]:
        return chain(self.newer.values(), self._old.values())

    def clear(self) -> None:
        self.newer, self._old = {}, {}
