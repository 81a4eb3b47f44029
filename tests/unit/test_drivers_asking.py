"""Connections that wait at replicas, with real sockets: who asks, who learns of a death, and goodbyes."""

import asyncio
import socket
import struct

import pytest

from tests.support.gatewayhouse import house
from tests.support.loop import on_loop, until
from tests.support.loopfleet import LoopFleet, config
from tests.support.toys import Patient
from trickles import Dialer
from trickles.drivers.stream import Stream


class Waiting(Patient):
    """Defers every answer; counts the clients that left."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[bytes] = []

    @property
    def clients(self) -> int:
        return len({event.connection for event, _ in self.waiting})

    def left(self, connection: bytes) -> None:
        self.gone.append(connection)


@pytest.mark.slow
def test_a_death_is_noticed_by_all_connections_of_a_process_for_one_question() -> None:
    async def test() -> None:
        service = Waiting()
        with LoopFleet(2, service) as fleet:
            dialer = Dialer(fleet.addresses, config())
            streams = [Stream(dialer) for _ in range(20)]  # at both replicas in turn
            for each in streams:
                each.write(b"wait\n")
            await until(lambda: service.clients == 20 and dialer.liveness.next_timeout() is not None)
            await until(lambda: fleet.counted("awaits") >= 2)
            assert fleet.counted("awaits") < 20
            begun = len(service.waiting)
            fleet.kill(0)
            await until(lambda: len(service.waiting) >= begun + 5)
            assert service.clients == 20
            for each in streams:
                each.close()
            dialer.close()

    on_loop(test())


def reset(writer: asyncio.StreamWriter) -> None:
    """Disconnect as a program does that has not read all."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_a_user_of_a_gateway_that_disconnects_is_known_to_the_replica() -> None:
    async def test() -> None:
        service = Waiting()
        async with house(service) as home:
            for _ in range(3):
                _, writer = await home.dial()
                writer.write(b"wait\n")
            await until(lambda: service.clients == 3 and home.dialer.liveness.next_timeout() is not None)
            await until(lambda: home.fleet.counted("awaits") > 0)
            for writer in home.programs:
                reset(writer)
            await until(lambda: len(set(service.gone)) == 3)
            assert {each.connection for each, _ in service.waiting} == set(service.gone)

    on_loop(test())


def test_a_goodbye_is_sent_again_and_counts_once() -> None:
    async def test() -> None:
        service = Waiting()
        with LoopFleet(1, service) as fleet:
            dialer = Dialer(fleet.addresses, config())
            stream = Stream(dialer)
            stream.write(b"wait\n")
            await until(lambda: dialer.liveness.next_timeout() is not None)
            stream.close()
            await until(lambda: fleet.counted("dropped.await") == 1)
            assert len(service.gone) == fleet.counted("goodbyes") == 1
            dialer.close()

    on_loop(test())
