"""The driver of a replica: it looks at its listener when that wants to be looked at, and no more once closed."""

import errno
import itertools
import signal
import socket
from typing import Any, cast

import pytest

from tests.support.loop import on_loop, until
from trickles import AsyncReplica, Listener
from trickles.drivers.process import stop_signals
from trickles.drivers.replica import Replica
from trickles.drivers.replica import run as run_replica
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import wall_us
from trickles.limits import SECOND
from trickles.wire.kinds import Address, Burst


class Stub:
    """A listener that only wants to be polled."""

    def __init__(self) -> None:
        self.on_ready: Any = None
        self.due: int | None = None
        self.polled = 0
        self.replies = list[Burst]()

    def resolved(self) -> list[Burst]:
        """What was resolved."""
        return self.replies

    def next_timeout(self) -> int | None:
        """When it wants that."""
        return self.due

    def poll(self, now: int) -> list[Any]:
        """It wanted that, and for now nothing more."""
        self.polled += 1
        self.due = None
        return []


def test_what_is_due_earlier_than_the_timer_that_runs_is_done_earlier() -> None:
    async def test() -> None:
        stub = Stub()
        with BatchSocket.bind("127.0.0.1", 0) as sock:
            replica = AsyncReplica(cast(Listener, stub), sock)
            stub.due = wall_us() + 3600 * SECOND
            replica._arm()
            stub.due = wall_us()
            replica._arm()
            await until(lambda: stub.polled == 1)
            replica.close()

    on_loop(test())


def test_replies_are_sent_as_they_are_resolved_and_none_after_close() -> None:
    async def test() -> None:
        stub = Stub()
        with (
            BatchSocket.bind("127.0.0.1", 0) as sock,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        ):
            client.bind(("127.0.0.1", 0))
            replica = AsyncReplica(cast(Listener, stub), sock)
            stub.replies = [Burst(client.getsockname(), 5, [b"reply"])]
            stub.on_ready()
            assert client.recv(100) == b"reply"
            assert stub.polled == 0
            replica.close()
            assert stub.on_ready is None

    on_loop(test())


class Failing(Stub):
    """A listener that has no memory for the first datagram and the first poll, and counts the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.handled = 0

    def handle(self, _datagram: bytes, _source: Address, *, now: int) -> list[Any]:
        """Answer nothing."""
        self.handled += 1
        if self.handled == 1:
            raise MemoryError("no more")
        return []

    def poll(self, now: int) -> list[Any]:
        """Fail once."""
        super().poll(now)
        if self.polled == 1:
            raise MemoryError("no more")
        return []


def test_what_one_datagram_raises_costs_that_one_alone(caplog: pytest.LogCaptureFixture) -> None:
    stub = Failing()
    with (
        BatchSocket.bind("127.0.0.1", 0) as sock,
        stop_signals() as stop,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        ticks = iter(range(100))

        def tick() -> None:
            if (stub.handled >= 3 and stub.polled > 1) or next(ticks) == 99:
                signal.raise_signal(signal.SIGTERM)

        for size in range(1, 4):  # of different sizes, lest they come as one
            client.sendto(bytes(size), sock.address)
        run_replica(Replica(cast(Listener, stub), sock), stop_fd=stop.fileno(), tick=tick, every=0.01)
    assert stub.handled == 3
    assert stub.polled > 1
    assert [record.getMessage() for record in caplog.records] == ["a datagram could not be handled"]


def test_a_replica_that_cannot_receive_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stub, failed = Failing(), list[None]()
    with (
        BatchSocket.bind("127.0.0.1", 0) as sock,
        stop_signals() as stop,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        real = BatchSocket.receive

        def receive(sock: BatchSocket, limit: int) -> Any:
            if len(failed) < 2:
                failed.append(None)
                raise OSError(errno.ENOMEM, "Cannot allocate memory")
            return real(sock, limit)

        def tick() -> None:
            if stub.handled:
                signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(BatchSocket, "receive", receive)
        client.sendto(b"1", sock.address)
        run_replica(Replica(cast(Listener, stub), sock), stop_fd=stop.fileno(), tick=tick, every=0.01)
    assert (len(failed), stub.handled) == (2, 1)


def test_a_wall_clock_that_is_set_back_delays_no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    stub, moment, ticks = Stub(), itertools.count(10**15, -(10**9)), list[None]()
    monkeypatch.setattr("trickles.drivers.replica.wall_us", lambda: next(moment))

    def tick() -> None:
        ticks.append(None)
        if len(ticks) == 3:
            signal.raise_signal(signal.SIGTERM)

    with BatchSocket.bind("127.0.0.1", 0) as sock, stop_signals() as stop:
        run_replica(Replica(cast(Listener, stub), sock), stop_fd=stop.fileno(), tick=tick, every=0.01)
    assert len(ticks) == 3
