"""A cache of bounded weight: what does not fit is evicted, the longest unused first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _keep_quiet(_value: object) -> None:
    """Nothing has to be done for a value that is dropped."""


class LruCache(Generic[K, V]):
    """Maps keys to values, at most `limit` of weight in all; `dropped` is called with each value that leaves."""

    def __init__(self, limit: int, dropped: Callable[[V], None] = _keep_quiet) -> None:
        self._limit = limit
        self._dropped = dropped
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: K) -> V | None:
        """The value of `key`, now the most recent; None if it is not remembered."""
        item = self._items.get(key)
        if item is None:
            return None
        self._items.move_to_end(key)
        return item[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Remember `value`; one heavier than the whole limit is kept too, alone, until the next comes."""
        self.drop(key)
        self._items[key] = (value, weight)
        self._weight += weight
        while self._weight > self._limit and len(self._items) > 1:
            self.drop(next(iter(self._items)))

    def drop(self, key: K) -> None:
        """Forget `key`, if it is remembered."""
        item = self._items.pop(key, None)
        if item is not None:
            self._weight -= item[1]
            self._dropped(item[0])

    def shrink(self) -> bool:
        """Forget the longest unused half; whether there was anything."""
        had = len(self._items)
        while len(self._items) > had // 2:
            self.drop(next(iter(self._items)))
        return had > 0

    def clear(self) -> None:
        for key in list(self._items):
            self.drop(key)

    def __len__(self) -> int:
        return len(self._items)
