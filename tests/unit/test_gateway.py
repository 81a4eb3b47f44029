"""What crosses a gateway: bytes, half-closes, resets and back-pressure, each in both directions."""

import asyncio
import errno
import hashlib
import socket
import struct
from dataclasses import dataclass

import pytest

from tests.support.gatewayhouse import SMALL, house
from tests.support.loop import on_loop, until
from tests.support.loopfleet import IMPATIENT
from tests.support.replica_program import GREETING, Lines, tape, tape_digest
from tests.support.toys import Patient
from trickles import Event, Limits, Refusal, Reply
from trickles.drivers.ports import Ports
from trickles.gateway import GatewayLimits

RESET = struct.pack("ii", 1, 0)


def test_bytes_cross_and_the_programs_half_close_with_them() -> None:
    async def test() -> None:
        async with house(count=2) as home:
            assert await home.ask(b"get 3000000\n") == tape(0, 3_000_000)
            assert await home.ask(b"get 5\nget 0\nget 7\n") == tape(0, 5) + tape(0, 7)
            assert await home.ask(b"") == b""
            await until(lambda: home.gateway.live == 0)
            figures = home.gateway.figures()
            assert (figures["accepted"], figures["completed"], figures["failed"], figures["reset"]) == (3, 3, 0, 0)
            assert (figures["bytes_in"], figures["bytes_out"]) == (30, 3_000_012)
            assert home.dialer.ports.open == 0
            assert home.told == []

    on_loop(test())


class Slow(Patient):
    """Answers when asked to; notes the clients that left."""

    def __init__(self) -> None:
        super().__init__()
        self.leavers: list[bytes] = []

    def left(self, connection: bytes) -> None:
        self.leavers.append(connection)


def test_a_user_that_half_closes_and_gets_nothing_for_a_while_has_left() -> None:
    async def test() -> None:
        service = Slow()
        async with house(service, limits=GatewayLimits(half_close=0.05)) as home:
            reader, writer = await home.dial()
            writer.write(b"get 5\n")
            writer.write_eof()
            await until(lambda: bool(service.leavers))
            with pytest.raises(ConnectionResetError):
                await reader.read()
            figures = home.gateway.figures()
            assert (figures["reset"], figures["failed"], home.told) == (1, 0, [])

    on_loop(test())


def test_a_half_closed_user_that_reads_gets_the_whole_answer() -> None:
    async def test() -> None:
        async with house(limits=GatewayLimits(half_close=0.05, unsent_bytes=SMALL)) as home:
            assert await home.ask(b"get 3000000\n") == tape(0, 3_000_000)
            reader, writer = await home.dial(receive_bytes=SMALL)
            writer.write(b"get 3000000\n")
            writer.write_eof()
            begun = await reader.readexactly(100_000)
            await asyncio.sleep(0.2)  # it reads nothing for several times as long
            assert begun + await reader.read() == tape(0, 3_000_000)

    on_loop(test())


def test_the_servers_half_close_leaves_the_program_time_to_write_and_to_read() -> None:
    async def test() -> None:
        async with house() as home:
            reader, writer = await home.dial()
            writer.write(b"bye 2000000\n")
            for _ in range(20):  # what nobody reads any more; a plain close would answer it by a reset
                writer.write(b"x" * 100_000)
                await writer.drain()
            assert await reader.read() == tape(0, 2_000_000)
            writer.write(b"x" * 100_000)
            await writer.drain()
            assert home.gateway.live == 1
            writer.close()
            await until(lambda: home.gateway.live == 0)
            assert home.gateway.figures()["reset"] == 0

    on_loop(test())


def test_a_program_that_stays_behind_a_complete_answer_is_left() -> None:
    async def test() -> None:
        async with house(limits=GatewayLimits(linger=0.001)) as home:
            reader, writer = await home.dial()
            writer.write(b"bye 1000\n")
            assert await reader.read() == tape(0, 1_000)
            await until(lambda: home.gateway.live == 0)
            writer.close()

    on_loop(test())


def test_a_slow_reader_of_a_complete_answer_gets_all_of_it() -> None:
    async def test() -> None:
        async with house(limits=GatewayLimits(linger=0.001, stuck=0.0, unsent_bytes=1 << 22)) as home:
            reader, writer = await home.dial(receive_bytes=SMALL)
            writer.write(b"bye 4000000\n")
            await until(lambda: home.gateway.figures()["completed"] == 1)
            with pytest.raises(ConnectionResetError):  # for it takes nothing
                await until_broken(writer)
        async with house(limits=GatewayLimits(linger=0.001, unsent_bytes=1 << 22)) as home:
            reader, writer = await home.dial(receive_bytes=SMALL)
            writer.write(b"bye 4000000\n")
            await until(lambda: home.gateway.figures()["completed"] == 1)
            assert await reader.read() == tape(0, 4_000_000)
            writer.close()

    on_loop(test())


async def until_broken(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0)


def test_a_programs_reset_ends_the_connection_and_frees_its_socket() -> None:
    async def test() -> None:
        async with house() as home:
            reader, writer = await home.dial()
            writer.write(b"get 100000000\n")
            await reader.readexactly(100)
            assert home.dialer.ports.open == 1
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
            await until(lambda: home.gateway.live == 0)
            assert home.gateway.figures()["reset"] == 1
            assert home.dialer.ports.open == 0
            assert home.told == []

    on_loop(test())


@pytest.mark.slow
def test_a_transfer_that_fails_half_way_resets_the_program() -> None:
    async def test() -> None:
        async with house(probe_sizes=(), client=IMPATIENT) as home:
            reader, writer = await home.dial()
            writer.write(b"get 100000000\n")
            assert await reader.readexactly(1_000) == tape(0, 1_000)
            home.fleet.kill(0)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            assert home.told == ["no replica answers"]
            assert home.gateway.live == 0

    on_loop(test())


@dataclass(slots=True)
class Gone:
    """Refuses for good whatever comes from a proved address."""

    def handle(self, event: Event) -> Reply:
        """Refuse."""
        return Reply(refusal=None if event.early else Refusal.GONE)


def test_a_refused_transfer_resets_the_program_at_once() -> None:
    async def test() -> None:
        async with house(Gone()) as home:
            with pytest.raises(ConnectionResetError):
                await home.ask(b"get 1\n")
            figures = home.gateway.figures()
            assert (home.told, figures["failed"], figures["reasons"]) == (["gone"], 1, {"gone": 1})

    on_loop(test())


@pytest.mark.slow
def test_a_program_that_reads_slowly_is_not_overtaken() -> None:
    size_bytes = 40_000_000

    async def test() -> None:
        client = Limits(receive_window_bytes=SMALL)
        async with house(limits=GatewayLimits(output_high_water=SMALL), client=client, idle_after=0) as home:
            reader, writer = await home.dial(receive_bytes=SMALL)
            writer.write(b"get %d\n" % size_bytes)
            await until(lambda: home.fleet.bytes_out > SMALL and home.dialer.ports.open == 0)
            assert home.fleet.bytes_out < size_bytes // 2  # the kernel's buffers for TCP are the most of it
            digest = hashlib.sha256()
            for _ in range(0, size_bytes, 10_000):
                digest.update(await reader.readexactly(10_000))
            assert digest.hexdigest() == tape_digest(size_bytes)
            writer.close()

    on_loop(test())


@dataclass(slots=True)
class Deaf:
    """Never takes any input."""

    def handle(self, event: Event) -> Reply:
        """Leave it."""
        return Reply()


def test_a_program_that_writes_fast_is_held_back() -> None:
    async def test() -> None:
        async with house(Deaf(), limits=GatewayLimits(input_high_water=SMALL)) as home:
            _, writer = await home.dial()
            writer.transport.set_write_buffer_limits(high=0)
            writer.write(bytes(30_000_000))
            [downstream] = home.gateway.context.table
            await until(lambda: downstream.held_back)
            held = downstream.upstream.waiting_bytes  # type: ignore[attr-defined]
            assert SMALL < held < 1_000_000
            assert writer.transport.get_write_buffer_size() > 10_000_000
            writer.transport.abort()

    on_loop(test())


def test_a_program_that_goes_while_it_is_held_back_is_noticed() -> None:
    async def test() -> None:
        async with house(Deaf(), limits=GatewayLimits(input_high_water=SMALL, look_every=0.001)) as home:
            _, writer = await home.dial()
            writer.write(bytes(10_000_000))
            [downstream] = home.gateway.context.table
            await until(lambda: downstream.held_back)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
            await until(lambda: home.gateway.live == 0)
            assert (home.gateway.figures()["reset"], home.dialer.ports.open) == (1, 0)

    on_loop(test())


def test_a_large_upload_crosses_with_every_byte() -> None:
    size_bytes = 20_000_000

    async def test() -> None:
        async with house(count=2) as home:
            answer = await home.ask(b"sum %d\n" % size_bytes + tape(0, size_bytes))
            assert answer == tape_digest(size_bytes).encode() + b"\n"

    on_loop(test())


def test_a_server_may_speak_first() -> None:
    async def test() -> None:
        async with house(Lines(GREETING)) as home:
            reader, writer = await home.dial()
            assert await reader.readexactly(len(GREETING)) == GREETING
            writer.write(b"bye 9\n")
            assert await reader.read() == tape(0, 9)
            writer.close()

    on_loop(test())


def test_an_idle_connection_holds_no_socket_and_goes_on_with_another() -> None:
    async def test() -> None:
        async with house(idle_after=0) as home:
            reader, writer = await home.dial()
            for size_bytes in (10, 100_000, 10):
                writer.write(b"get %d\n" % size_bytes)
                assert await reader.readexactly(size_bytes) == tape(0, size_bytes)
                await until(lambda: home.dialer.ports.open == 0)
            assert home.gateway.live == 1
            writer.close()

    on_loop(test())


def test_without_a_socket_the_program_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def test() -> None:
        async with house() as home:
            with monkeypatch.context() as patch:
                patch.setattr(Ports, "take", none_left)
                with pytest.raises(ConnectionResetError):
                    await home.ask(b"get 1\n")
            assert home.told == ["no socket: Too many open files"]
            assert await home.ask(b"get 1\n") == tape(0, 1)

    on_loop(test())


def test_when_the_gateway_ends_idle_programs_are_closed_and_busy_ones_reset() -> None:
    async def test() -> None:
        async with house() as home:
            fresh, idle, busy = await home.dial(), await home.dial(), await home.dial(receive_bytes=SMALL)
            idle[1].write(b"get 10\n")
            await idle[0].readexactly(10)
            busy[1].write(b"get 100000000\n")
            await busy[0].readexactly(10)
            await until(lambda: home.gateway.live == 3)
            await home.gateway.close()
            assert await fresh[0].read() == await idle[0].read() == b""
            with pytest.raises(ConnectionResetError):
                await busy[0].read()
            assert home.told == ["gateway ends"]
            for _, writer in (fresh, idle, busy):
                writer.close()

    on_loop(test())


def test_what_breaks_in_the_loop_is_reported_as_the_gateways_own() -> None:
    async def test() -> None:
        async with house() as home:
            home.gateway.broke({"message": "accept failed", "exception": OSError(errno.EMFILE, "Too many open files")})
            home.gateway.broke({"message": "something else"})
            assert home.told == ["accept failed: OSError(24, 'Too many open files')", "something else"]

    on_loop(test())


def test_a_port_in_use_is_an_error_that_names_it() -> None:
    async def test() -> None:
        async with house() as home:
            with pytest.raises(OSError, match=rf"cannot listen on 127.0.0.1:{home.port}: Address already in use"):
                await home.gateway.listen("127.0.0.1", home.port)

    on_loop(test())
