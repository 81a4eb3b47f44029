"""The departure of a client while its request is at work."""

from __future__ import annotations

from collections.abc import Callable


class ClientDeparture:
    """A note that the client of a connection has left, and calls for programs that want to know.

    Safe requests are cancelled then. Unsafe ones run on, since their effects count.
    """

    __slots__ = ("__weakref__", "_callbacks", "has_left")

    def __init__(self) -> None:
        self.has_left = False
        self._callbacks: dict[Callable[[], object], None] = {}

    def on_left(self, callback: Callable[[], object]) -> None:
        """Call back once the client has left, now if it has."""
        if self.has_left:
            callback()
        else:
            self._callbacks[callback] = None

    def forget(self, callback: Callable[[], object]) -> None:
        self._callbacks.pop(callback, None)

    def leave(self) -> None:
        """Note that the client has left."""
        self.has_left = True
        callbacks, self._callbacks = self._callbacks, {}
        for each in callbacks:
            each()
