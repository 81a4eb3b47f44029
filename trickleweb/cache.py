"""Cache of bounded weight, evicting the least recently used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Least-recently-used cache of bounded weight; `dropped` is called with each value that leaves."""

    def __init__(self, limit: int, dropped: Callable[[V], object] = lambda _: None) -> None:
        self._limit = limit
        self._dropped = dropped
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: K) -> V | None:
        """Return the value of `key`, now the most recent, or None."""
        item = self._items.get(key)
        if item is None:
            return None
        self._items.move_to_end(key)
        return item[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Store `value`; one heavier than the whole limit is kept too, alone, until the next comes."""
        if key in self._items:
            self.drop(key)
        self._items[key] = (value, weight)
        self._weight += weight
        while self._weight > self._limit and len(self._items) > 1:
            self.drop(next(iter(self._items)))

    def oldest(self) -> tuple[K, V] | None:
        """Return the least recently used item, None if there is none."""
        return next(((key, item[0]) for key, item in self._items.items()), None)

    def drop(self, key: K) -> None:
        item = self._items.pop(key, None)
        if item is not None:
            self._weight -= item[1]
            self._dropped(item[0])

    def shrink(self) -> bool:
        """Drop the least recently used half; return whether there was anything."""
        had = len(self._items)
        while len(self._items) > had // 2:
            self.drop(next(iter(self._items)))
        return had > 0

    def clear(self) -> None:
        for key in list(self._items):
            self.drop(key)

    def __len__(self) -> int:
        return len(self._items)
