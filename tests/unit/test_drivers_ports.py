"""Ports of one loop: who is read from first when hundreds have something."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.loop import on_loop, until
from trickles.drivers.addresses import Address
from trickles.drivers.ports import FEW_PORTS, TURN_BYTES, Port, Ports
from trickles.drivers.udp import Received

MUCH = bytes(60_000)
MANY = FEW_PORTS + 36


@dataclass(slots=True)
class Holder:
    """Counts what it is given."""

    received_bytes: int = 0

    def arrived(self, received: list[Received], unreachable: list[Address]) -> None:
        """Count it."""
        self.received_bytes += sum(len(buffer) for buffer, _, _ in received)


@dataclass(slots=True)
class Crowd:
    """Holders of ports, and a socket that sends to all of them."""

    ports: Ports
    sender: socket.socket
    held: list[tuple[Port, Holder]]

    def send(self, data: bytes) -> None:
        """Send that to each: over loopback it is there at once."""
        for port, _ in self.held:
            self.sender.sendto(data, ("127.0.0.1", port.socket.address[1]))

    def join(self) -> Holder:
        """One more that has received nothing."""
        holder = Holder()
        self.held.append((self.ports.take(holder), holder))
        return holder

    @property
    def received_bytes(self) -> int:
        """By all of them."""
        return sum(holder.received_bytes for _, holder in self.held)


@contextmanager
def crowd(count: int) -> Iterator[Crowd]:
    """So many that have been brought much already."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        found = Crowd(Ports(), sender, [])
        try:
            for _ in range(count):
                found.join()
            found.send(MUCH)
            for port, _ in found.held:
                port.read()
            yield found
        finally:
            for port, _ in found.held:
                found.ports.give_back(port)


async def turns(crowd: Crowd, goal_bytes: int) -> list[int]:
    """The bytes that each turn of the loop reads, until all have received that much."""
    read = list[int]()
    while (before := crowd.received_bytes) < goal_bytes:
        await asyncio.sleep(0)
        read.append(crowd.received_bytes - before)
        assert len(read) < 10_000, "it stands still"
    return read


def test_many_that_are_brought_much_share_the_turns_of_the_loop() -> None:
    async def test() -> None:
        with crowd(MANY) as found:
            await asyncio.sleep(0)  # what was read by hand counted for a turn too
            found.send(MUCH)
            read = await turns(found, 2 * MANY * len(MUCH))
            assert {holder.received_bytes for _, holder in found.held} == {2 * len(MUCH)}
            assert max(read) < TURN_BYTES + len(MUCH)
            assert len([each for each in read if each]) == -(-MANY * len(MUCH) // max(read))

    on_loop(test())


def test_one_that_has_just_begun_does_not_wait_for_them() -> None:
    async def test() -> None:
        with crowd(MANY) as found:
            await asyncio.sleep(0)
            found.send(MUCH)
            late = found.join()
            port, _ = found.held[-1]
            found.sender.sendto(b"small", ("127.0.0.1", port.socket.address[1]))
            await until(lambda: late.received_bytes > 0)
            assert found.received_bytes < (MANY * len(MUCH)) + 2 * (TURN_BYTES + len(MUCH))

    on_loop(test())


def test_a_few_are_all_read_from_in_each_turn() -> None:
    async def test() -> None:
        with crowd(FEW_PORTS) as found:
            found.send(MUCH)
            read = await turns(found, 2 * FEW_PORTS * len(MUCH))
            assert max(read) == FEW_PORTS * len(MUCH) > TURN_BYTES

    on_loop(test())


def test_one_that_was_passed_over_can_be_read_from_when_its_time_has_come() -> None:
    async def test() -> None:
        with crowd(MANY) as found:
            await asyncio.sleep(0)
            found.send(MUCH)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            port, holder = next(each for each in found.held if each[0].passed_over)
            port.read()
            assert holder.received_bytes == 2 * len(MUCH)
            assert not port.passed_over

    on_loop(test())
