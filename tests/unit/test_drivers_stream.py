"""The byte stream as its users see it: what read, write, drain, write_eof and close promise."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.support.inside import parts
from tests.support.loop import on_loop, until
from tests.support.loopfleet import IMPATIENT, LoopFleet, config
from tests.support.replica_program import tape, tape_digest
from tests.support.toys import Patient
from trickles import Continuation, Deferred, Event, Limits, Reply, Service, Stream, connect
from trickles.drivers.connection import MOST_FORMER
from trickles.errors import ConnectionFailed, LocalProtocolError
from trickles.limits import SECOND


@asynccontextmanager
async def streaming(service: Service | None = None, **options: object) -> AsyncIterator[tuple[Stream, LoopFleet]]:
    with LoopFleet(2, service) as fleet:
        async with await connect(fleet.addresses, config=config(**options)) as stream:
            yield stream, fleet


def test_reads_give_what_is_asked_for_and_nothing_behind_the_end() -> None:
    async def test() -> None:
        async with streaming() as (stream, _):
            stream.write(b"get 50000\n")
            stream.write_eof()
            assert await stream.read(0) == b""
            data = b""
            for size in (1, 7, 1000):
                part = await stream.read(size)
                assert 0 < len(part) <= size
                data += part
            assert data + await stream.read() == tape(0, 50_000)
            assert [await stream.read(), await stream.read(5)] == [b"", b""]
            await stream.drain()
            assert stream.statistics()["bytes_received"] == 50_000

    on_loop(test())


def test_a_handshake_can_be_waited_for_before_anything_is_written() -> None:
    async def test() -> None:
        async with streaming() as (stream, fleet):
            await stream.handshake()
            await stream.handshake()
            assert fleet.counted("hellos") == 1
            assert not stream.readable
            stream.write(b"bye 5\n")
            await until(lambda: stream.readable)
            assert await stream.read() == tape(0, 5)
            assert stream.readable

    on_loop(test())


@pytest.mark.slow
def test_a_handshake_with_nobody_fails() -> None:
    async def test() -> None:
        async with streaming(limits=IMPATIENT) as (stream, fleet):
            fleet.kill(0)
            fleet.kill(1)
            with pytest.raises(ConnectionFailed, match="no answer to the handshake"):
                await stream.handshake()
            assert stream.readable

    on_loop(test())


def test_a_stream_whose_answer_is_complete_needs_no_socket() -> None:
    async def test() -> None:
        async with streaming() as (stream, _):
            stream.write(b"bye 5\n")
            assert await stream.read() == tape(0, 5)
            assert stream._connection._port is None
            stream.write(b"nobody wants this")
            await stream.drain()
            assert await stream.read() == b""

    on_loop(test())


def test_a_flow_has_a_port_of_its_own_and_former_ones_are_kept_for_a_while() -> None:
    async def test() -> None:
        async with streaming() as (stream, _):
            await stream.handshake()
            connection, flows, used = stream._connection, parts(stream._connection.client).fleet.flows, list[object]()
            for _ in range(MOST_FORMER + 2):
                stream.write(b"get 1\n")
                assert await stream.read(1) == tape(0, 1)
                used.append(connection._port)
                flows.change()
            assert len(set(used)) == len(used)
            flows.settle(MOST_FORMER)
            stream.write(b"get 1\n")
            assert await stream.read(1) == tape(0, 1)
            assert connection._port is used[MOST_FORMER]
            assert connection._ports.open == 1 + MOST_FORMER
        assert connection._ports.open == 0

    on_loop(test())


def test_nothing_is_written_behind_the_end_or_after_close() -> None:
    async def test() -> None:
        async with streaming() as (stream, _):
            stream.write_eof()
            stream.write_eof()
            with pytest.raises(LocalProtocolError):
                stream.write(b"x")
            assert await stream.read() == b""
        with pytest.raises(LocalProtocolError):
            stream.write(b"x")

    on_loop(test())


def test_closing_wakes_who_reads_or_drains() -> None:
    async def test() -> None:
        async with streaming(Patient()) as (stream, _):
            stream.write(bytes(1_000_000))
            waiting = [asyncio.ensure_future(stream.read(1)), asyncio.ensure_future(stream.drain())]
            await asyncio.sleep(0)
            stream.close()
            stream.close()
            for each in waiting:
                with pytest.raises(ConnectionFailed, match="closed"):
                    await each
            with pytest.raises(ConnectionFailed, match="closed"):
                await stream.read()

    on_loop(test())


@dataclass(slots=True)
class Half:
    """Promises twice what it has, and loses the rest."""

    content: bytes

    def handle(self, event: Event) -> Reply:
        """What lies in the first half."""
        size = len(self.content)
        fresh = None if event.continuation else Continuation(b"", 0, 2 * size, event.input_offset + len(event.input))
        chunks = tuple((start, self.content[start : min(stop, size)]) for start, stop in event.wants if start < size)
        return Reply(chunks, fresh)


@pytest.mark.slow
def test_what_arrived_before_a_failure_is_read_before_it_is_raised() -> None:
    async def test() -> None:
        async with streaming(Half(tape(0, 5_000)), limits=IMPATIENT) as (stream, fleet):
            stream.write(b"please\n")
            await until(lambda: stream.statistics()["bytes_received"] == 5_000)
            fleet.kill(0)
            fleet.kill(1)
            await until(lambda: stream._failure is not None)
            assert await stream.read(5_000) == tape(0, 5_000)
            with pytest.raises(ConnectionFailed, match="no replica answers"):
                await stream.read(1)
            with pytest.raises(ConnectionFailed):
                await stream.read()

    on_loop(test())


def test_a_reader_that_pauses_stops_the_transfer_and_loses_nothing() -> None:
    async def test() -> None:
        limits = Limits(receive_window_bytes=1 << 17)
        async with streaming(limits=limits, probe_sizes=()) as (stream, fleet):
            stream.write(b"get 10000000\n")
            stream.write_eof()
            await until(lambda: stream._connection.paused and stream._connection._due is None)
            assert fleet.bytes_out < 3_000_000
            assert await stream.read() == tape(0, 10_000_000)

    on_loop(test())


def test_drain_waits_until_the_spool_has_taken_most_of_it() -> None:
    async def test() -> None:
        async with streaming() as (stream, _):
            stream.write(b"sum 3000000\n")
            stream.write(tape(0, 3_000_000))
            await stream.drain()
            assert stream._connection.client.input_waiting <= 1 << 18
            assert await stream.read(65) == tape_digest(3_000_000).encode() + b"\n"

    on_loop(test())


class Slow(Patient):
    """Defers all but early events, for which nobody could be told to wait."""

    def handle(self, event: Event) -> Reply | Deferred:  # type: ignore[override]
        """Put it on the list."""
        return Reply() if event.early else super().handle(event)


def test_answers_that_come_later_are_waited_for_and_each_client_is_told() -> None:
    async def test() -> None:
        service = Slow()
        with LoopFleet(1, service) as fleet:
            streams = [await connect(fleet.addresses, config=config()) for _ in range(2)]
            for stream in streams:
                stream.write(b"hello\n")
            await until(lambda: all("refused_working" in stream.statistics() for stream in streams))
            for event, deferred in service.waiting:
                deferred.resolve(Reply(((0, b"done"),), Continuation(b"", 0, 4, len(event.input)), 4))
            assert [await stream.read() for stream in streams] == [b"done", b"done"]
            for stream in streams:
                stream.close()

    on_loop(test())


def test_a_dead_replica_is_left_at_once_when_the_system_says_so() -> None:
    async def test() -> None:
        async with streaming(limits=Limits(rto_initial=20 * SECOND)) as (stream, fleet):
            fleet.kill(0)  # before the first datagram: no estimate of the path would end the waiting soon
            stream.write(b"get 1000\n")
            stream.write_eof()
            assert await stream.read() == tape(0, 1_000)
            assert fleet.packets_in[0] == 0

    on_loop(test())


def test_streams_that_are_over_leave_nothing_for_the_collector() -> None:
    async def test() -> None:
        with LoopFleet() as fleet:
            gc.collect()
            gc.disable()
            try:
                streams = []
                for request in (b"bye 10\n", b"get 10\n"):
                    stream = await connect(fleet.addresses, config=config())
                    stream.write(request)
                    assert await stream.read(10) == tape(0, 10)
                    stream.close()
                    streams.append(weakref.ref(stream._connection))
                del stream
                await asyncio.sleep(0)
                assert [reference() for reference in streams] == [None, None]
            finally:
                gc.enable()

    on_loop(test())
