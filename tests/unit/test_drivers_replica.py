"""The driver of a replica: it looks at its listener when that wants to be looked at, and no more once closed."""

from typing import Any, cast

from tests.support.loopfleet import run, until
from trickles import AsyncReplica, Listener
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import wall_us
from trickles.limits import SECOND


class Stub:
    """A listener that only wants to be polled."""

    def __init__(self) -> None:
        self.on_ready: Any = None
        self.due: int | None = None
        self.polled = 0

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

    run(test())


def test_replies_that_come_together_are_sent_together_and_none_after_close() -> None:
    async def test() -> None:
        stub = Stub()
        with BatchSocket.bind("127.0.0.1", 0) as sock:
            replica = AsyncReplica(cast(Listener, stub), sock)
            for _ in range(3):
                stub.on_ready()
            await until(lambda: stub.polled == 1)
            stub.on_ready()
            replica.close()
            turns = iter(range(5))
            await until(lambda: next(turns) == 4)
            assert stub.polled == 1

    run(test())
