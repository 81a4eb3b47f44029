"""Structural types of the engines that the simulator drives; nothing inherits from them.

Optional members are used where an engine has them. Listener: `poll(now=)` for deferred replies, `on_ready` to set to a
callback for them (unless the factory has set one), `next_timeout()` for the wall-clock time when `poll` is due,
`drop_caches()`, `counters`. Client: `connect(now=)` to begin with, `statistics()`, `flow` (a number for each port).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trickles.testing.packet import Address


class BurstLike(Protocol):
    """Datagrams for one destination."""

    @property
    def destination(self) -> Address: ...
    def datagrams(self) -> Sequence[bytes]: ...  # in order


class ListenerLike(Protocol):
    """The server's engine; `now` is wall-clock-like microseconds, with the replica's skew."""

    def handle(self, datagram: bytes, source: Address, *, now: int) -> Sequence[BurstLike]: ...  # must not raise


class ClientLike(Protocol):
    """The client's engine for one connection; `now` is monotonic microseconds."""

    def receive_datagram(self, datagram: bytes, source: Address, *, now: int) -> None: ...  # must not raise
    def receive_unreachable(self, replica: Address, *, now: int) -> None: ...  # ICMP: nobody listens there
    def handle_timeout(self, *, now: int) -> None: ...  # the time of `next_timeout` has come
    def datagrams_to_send(self, *, now: int) -> Sequence[tuple[bytes, Address]]: ...  # each datagram once
    def next_timeout(self) -> int | None: ...  # when `handle_timeout` is due
    def next_event(self) -> object | None: ...  # for the application; None if there is none
    def write(self, data: bytes) -> None: ...  # input for the server
    def write_eof(self) -> None: ...  # no more input follows


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """Arguments of a replica's factory for a new process; keyrings may differ by `index`."""

    name: str
    index: int  # of the replica, from 0, in the order they were added
    life: int  # 0 for the first process, 1 for the one after its first death, ...
    address: Address
    entropy: Callable[[int], bytes]
    now: Callable[[], int]  # this replica's wall clock
    after: Callable[[int, Callable[[], object]], None]  # run a function after a delay, unless the process died
    wake: Callable[[], None]  # call the listener's `poll` now


ListenerFactory = Callable[[Birth], ListenerLike]


class Session(Protocol):
    """A client as its application sees it."""

    @property
    def engine(self) -> ClientLike: ...  # to write to
    @property
    def now(self) -> int: ...  # virtual time, microseconds
    def finish(self) -> None: ...  # the application has all it wanted
    def fail(self, reason: str) -> None: ...  # the application cannot get what it wanted
    def pause(self, duration: int) -> None: ...  # take no more events for that many microseconds
    def after(self, delay: int, call: Callable[[], object]) -> None: ...  # run it later, then send datagrams


class Application(Protocol):
    """User of a client: it writes when it starts, and takes events one by one."""

    def start(self, session: Session) -> None: ...  # the connection may be used
    def receive(self, session: Session, event: object) -> None: ...  # one event of the engine


def data_of(event: object) -> bytes | None:
    """Return the stream bytes of an event, its `chunks`, or None."""
    chunks = getattr(event, "chunks", None)
    return None if chunks is None else b"".join(chunks)


def failure_of(event: object) -> str | None:
    """Return why the connection failed, the `reason` of such an event, or None."""
    reason = getattr(event, "reason", None)
    return None if reason is None else str(reason)


def is_end(event: object) -> bool:
    """Return True when this event ends the stream: its class is called End."""
    return type(event).__name__ == "End"
