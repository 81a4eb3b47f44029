"""What the simulator needs of the engines it drives, as structure: nothing here is inherited from.

Optional members are used where an engine has them. Listener: `poll(now=)` for deferred replies, `on_ready` to set to
what is to be called when there are some (left as it is if the factory has set it), `next_timeout()` for the wall-clock
time `poll` is wanted at, `drop_caches()`, `counters`. Client: `connect(now=)` to begin with, `statistics()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trickles.testing.packet import Address


class BurstLike(Protocol):
    """Datagrams for one destination."""

    @property
    def destination(self) -> Address:
        """Where they go."""

    def datagrams(self) -> Sequence[bytes]:
        """The datagrams, in order."""


class ListenerLike(Protocol):
    """The server's engine; `now` is wall-clock-like microseconds, with the replica's skew."""

    def handle(self, datagram: bytes, source: Address, *, now: int) -> Sequence[BurstLike]:
        """What answers one datagram; must not raise, whatever it holds."""


class ClientLike(Protocol):
    """The client's engine for one connection; `now` is monotonic microseconds."""

    def receive_datagram(self, datagram: bytes, source: Address, *, now: int) -> None:
        """One datagram has come; must not raise, whatever it holds."""

    def receive_unreachable(self, replica: Address, *, now: int) -> None:
        """ICMP says that nobody listens at that address."""

    def handle_timeout(self, *, now: int) -> None:
        """The time asked for by `next_timeout` has come."""

    def datagrams_to_send(self, *, now: int) -> Sequence[tuple[bytes, Address]]:
        """All that is to be sent now, each datagram once."""

    def next_timeout(self) -> int | None:
        """When `handle_timeout` is wanted."""

    def next_event(self) -> object | None:
        """The next thing the application should know; None if there is nothing."""

    def write(self, data: bytes) -> None:
        """More bytes to the server."""

    def write_eof(self) -> None:
        """No more bytes will be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a replica's factory is told about the process it is to make; keyrings may differ by `index`."""

    name: str
    index: int  # of the replica, from 0, in the order they were added
    life: int  # 0 for the first process, 1 for the one after its first death, ...
    address: Address
    entropy: Callable[[int], bytes]
    now: Callable[[], int]  # this replica's wall clock
    after: Callable[[int, Callable[[], object]], None]  # run something after a delay, unless the process died
    wake: Callable[[], None]  # have the listener's `poll` called now


ListenerFactory = Callable[[Birth], ListenerLike]


class Session(Protocol):
    """A client as its application sees it."""

    @property
    def engine(self) -> ClientLike:
        """The engine, to write to."""

    @property
    def now(self) -> int:
        """Virtual time, microseconds."""

    def finish(self) -> None:
        """The application has all it wanted."""

    def fail(self, reason: str) -> None:
        """The application will never get what it wanted."""

    def pause(self, duration: int) -> None:
        """Take no more events for that many microseconds."""

    def after(self, delay: int, call: Callable[[], object]) -> None:
        """Run something later; datagrams it causes are sent."""


class Application(Protocol):
    """What uses a client: writes when it starts, and takes its events one by one."""

    def start(self, session: Session) -> None:
        """The connection may be used."""

    def receive(self, session: Session, event: object) -> None:
        """One event of the engine."""


def data_of(event: object) -> bytes | None:
    """The stream bytes an event carries, if any: its `chunks`."""
    chunks = getattr(event, "chunks", None)
    return None if chunks is None else b"".join(chunks)


def failure_of(event: object) -> str | None:
    """Why the connection failed, if this event says that it did: its `reason`."""
    reason = getattr(event, "reason", None)
    return None if reason is None else str(reason)


def is_end(event: object) -> bool:
    """Whether this event ends the stream: its class is called End."""
    return type(event).__name__ == "End"
