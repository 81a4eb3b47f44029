"""Event streams of which only a request is here: nothing new was there when it came from another replica.

When a replica dies, its streams move to others, thousands in a second. To make one, with its reader, buffer and pump,
costs more than all the rest of a move, and nearly all of them have nothing to send. So a request that has all the
events of its source sleeps: it holds its place among the parked ones, and listens to the source. It is woken, and its
stream made, by any change of the source, and by another request for the same stream. A wrong guess is harmless: a
stream is verified before it sends anything, asleep before or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trickles.service import Deferred
from trickleweb.bodies.steps import LiveSteps
from trickleweb.server.window import Where


@dataclass(slots=True, eq=False)
class Sleeper:
    """A request that sleeps, the call that wakes it, and how to make its stream."""

    request: Deferred
    reader: LiveSteps
    make: Callable[[], None]
    wake: Callable[[], None]


class Sleepers:
    """Requests that sleep: at most one for each stream."""

    def __init__(self) -> None:
        self._asleep: dict[bytes, dict[int, Sleeper]] = {}  # by connection, and input offset after the request

    def add(self, where: Where, request: Deferred, reader: LiveSteps, make: Callable[[], None]) -> None:
        """Let a request sleep, until `wake` or `remove`."""

        def wake() -> None:
            self.wake(where)

        self._asleep.setdefault(where[0], {})[where[1]] = Sleeper(request, reader, make, wake)
        reader.listen(wake)

    def wake(self, where: Where) -> bool:
        """Make the stream of the request that sleeps there; return False if there is none."""
        sleeper = self._pop(where)
        if sleeper is None:
            return False
        sleeper.make()
        sleeper.reader.leave(sleeper.wake)  # only now, so that the source is followed without a break
        return True

    def remove(self, where: Where) -> None:
        """Remove the request that sleeps there, if there is one."""
        sleeper = self._pop(where)
        if sleeper is not None:
            sleeper.reader.leave(sleeper.wake)

    def _pop(self, where: Where) -> Sleeper | None:
        connection, offset = where
        asleep = self._asleep.get(connection, {})
        sleeper = asleep.pop(offset, None)
        if sleeper is not None and not asleep:
            del self._asleep[connection]
        return sleeper

    def of(self, connection: bytes) -> list[Deferred]:
        """Return the requests of a connection that sleep."""
        return [each.request for each in self._asleep.get(connection, {}).values()]

    def all(self) -> list[Deferred]:
        """Return all requests that sleep."""
        return [request for connection in self._asleep for request in self.of(connection)]
