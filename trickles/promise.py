"""A result that comes later: a reply of a service, an answer of a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Promise(Generic[Value]):
    """A promised value: call `resolve` once, on the listener's own thread; later calls have no effect."""

    __slots__ = ("_callbacks", "_values")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Value], object]] = []
        self._values: tuple[Value, ...] = ()

    def resolve(self, value: Value) -> None:
        """Give the value, at once, to all that wait for it."""
        if self._values:
            return
        self._values = (value,)
        callbacks, self._callbacks = self._callbacks, []  # which have references to this: all are freed now
        for callback in callbacks:
            callback(value)

    def then(self, callback: Callable[[Value], object]) -> None:
        """Call back with the value, now or when it comes."""
        if self._values:
            callback(self._values[0])
        else:
            self._callbacks.append(callback)
