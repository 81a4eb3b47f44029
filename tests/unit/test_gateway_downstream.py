"""A user's connection at a gateway, against an upstream of the test's own: who calls what, and what is left then."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.loop import on_loop, until
from trickles.client.events import Delivery
from trickles.gateway import Gateway, GatewayLimits
from trickles.gateway.accesslog import ConnectionRecord
from trickles.gateway.downstream import Downstream
from trickles.gateway.upstream import NOTHING_DELIVERED, Activity, Callbacks, Opening

RESET = struct.pack("ii", 1, 0)
WORDS = Opening(b"welcome ", lambda reason: f"sorry: {reason}".encode())
REPLICA = ("192.0.2.1", 1)


@dataclass(slots=True, eq=False)
class Script:
    """An upstream that notes what it is asked for, and does nothing by itself."""

    activity: Activity = Activity.BUSY
    waiting_bytes: int = 0
    window_bytes: int = 1 << 16
    delivery: Delivery = NOTHING_DELIVERED
    calls: list[str] = field(default_factory=list)
    got: bytes = b""

    def start(self, downstream: Callbacks) -> None:
        self.calls.append("start")

    def send(self, data: bytes) -> None:
        self.got += data

    def send_eof(self) -> None:
        self.calls.append("eof")

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def request_timed_out(self) -> None:
        self.calls.append("late")

    def close(self) -> None:
        self.calls.append("close")


@dataclass(slots=True)
class Stage:
    """A gateway whose users are connected to scripts."""

    gateway: Gateway
    port: int
    arrived: list[Downstream]
    told: list[str]
    records: list[ConnectionRecord] = field(default_factory=list)

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Downstream]:
        """A user, and its connection as the gateway has it."""
        count = len(self.arrived)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        await until(lambda: len(self.arrived) > count)
        return reader, writer, self.arrived[-1]


@asynccontextmanager
async def stage(limits: GatewayLimits = GatewayLimits()) -> AsyncIterator[Stage]:  # noqa: B008 - a frozen value
    """One that is cleaned up."""
    told, arrived = list[str](), list[Downstream]()
    gateway = Gateway(limits=limits, report=lambda _, reason: told.append(reason))
    [(_, port)] = await gateway.listen("127.0.0.1", 0, arrived.append)
    found = Stage(gateway, port, arrived, told)
    gateway.watch(found.records.append)
    try:
        yield found
    finally:
        await gateway.close()


def test_bytes_half_closes_and_the_end_cross() -> None:
    async def test() -> None:
        async with stage() as here:
            reader, writer, downstream = await here.dial()
            script = Script(delivery=Delivery({REPLICA: 3}, {REPLICA: 9}, 1, 50))
            downstream.connect(script, target="a.test:80")
            writer.write(b"question")
            await until(lambda: script.got == b"question")
            writer.write_eof()
            await until(lambda: script.calls == ["start", "eof"])
            downstream.data([b"an", memoryview(b"swer")])
            downstream.ended()
            assert await reader.read() == b"answer"
            assert script.calls == ["start", "eof", "close"]
            [record] = here.records
            assert (record.completion, record.target, record.bytes_in, record.bytes_out) == (
                "complete",
                "a.test:80",
                8,
                6,
            )
            assert (record.replicas, record.failovers, record.longest_stall_us) == ({REPLICA: 3}, 1, 50)
            await until(lambda: here.gateway.live == 0)
            writer.close()

    on_loop(test())


def test_a_user_goes_on_writing_after_a_half_close_of_the_other_side() -> None:
    async def test() -> None:
        async with stage() as here:
            reader, writer, downstream = await here.dial()
            script = Script()
            downstream.connect(script)
            downstream.data([b"done"])
            downstream.output_ended()
            assert await reader.read() == b"done"
            writer.write(b"more")
            await until(lambda: script.got == b"more")
            assert here.gateway.live == 1
            writer.close()
            await until(lambda: script.calls == ["start", "eof"])
            downstream.ended()
            await until(lambda: here.gateway.live == 0)

    on_loop(test())


def test_what_is_written_after_a_complete_answer_is_dropped_and_resets_nobody() -> None:
    async def test() -> None:
        async with stage(GatewayLimits(linger=0.001)) as here:
            reader, writer, downstream = await here.dial()
            script = Script()
            downstream.connect(script)
            downstream.data([b"answer"])
            downstream.ended()
            writer.write(b"late")
            assert await reader.read() == b"answer"
            await until(lambda: here.gateway.live == 0)
            assert (script.got, len(here.records), here.told) == (b"", 1, [])
            assert here.gateway.statistics.bytes_in == 0
            writer.close()

    on_loop(test())


def answer(downstream: Downstream) -> None:
    """Begin an answer."""
    downstream.data([b"answer"])


def test_a_failure_resets_the_user_or_is_said_in_words_as_long_as_nothing_was() -> None:
    async def test() -> None:
        async with stage() as here:
            reader, writer, downstream = await here.dial()
            downstream.connect(Script(), opening=WORDS)
            downstream.failed("gone")
            assert await reader.read() == b"sorry: gone"
            for begin, begun in ((Downstream.connected, b"welcome "), (answer, b"answer")):
                writer.close()
                reader, writer, downstream = await here.dial()
                downstream.connect(Script(), opening=WORDS)
                begin(downstream)
                assert await reader.readexactly(len(begun)) == begun
                downstream.failed("gone")
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            assert here.told == ["gone"] * 3
            assert here.gateway.statistics.reasons == {"gone": 3}
            assert [record.completion for record in here.records] == ["failed"] * 3
            writer.close()

    on_loop(test())


def test_a_user_is_read_from_again_once_half_of_what_waits_was_taken() -> None:
    async def test() -> None:
        async with stage(GatewayLimits(input_high_water=1000)) as here:
            _, writer, downstream = await here.dial()
            script = Script(waiting_bytes=1001)
            downstream.connect(script)
            writer.write(b"a")
            await until(lambda: downstream.held_back)
            writer.write(b"b")
            script.waiting_bytes = 500
            downstream.consumed()
            assert (downstream.held_back, script.got) == (True, b"a")
            script.waiting_bytes = 499
            downstream.consumed()
            assert (downstream.held_back, script.got) == (False, b"a")
            await until(lambda: script.got == b"ab")
            downstream.ended()
            writer.close()
            await until(lambda: here.gateway.live == 0)

    on_loop(test())


def test_an_upstream_is_paused_while_the_user_does_not_read() -> None:
    async def test() -> None:
        async with stage() as here:
            reader, writer, downstream = await here.dial()
            script, size = Script(window_bytes=1000), 0
            downstream.connect(script)
            while "pause" not in script.calls:
                downstream.data([bytes(1 << 16)])
                size += 1 << 16
            assert (downstream.held_back, downstream.is_flushed) == (True, False)
            await reader.readexactly(size)
            await until(lambda: script.calls == ["start", "pause", "resume"])
            assert (downstream.held_back, downstream.is_flushed) == (False, True)
            downstream.ended()
            writer.close()
            await until(lambda: here.gateway.live == 0)

    on_loop(test())


def test_each_stretch_has_its_record_and_what_moves_on_counts_for_the_next() -> None:
    async def test() -> None:
        async with stage() as here:
            _, writer, downstream = await here.dial()
            front, first, second = Script(), Script(), Script()
            downstream.connect(front)
            writer.write(b"to the first")
            await until(lambda: front.got == b"to the first")
            downstream.connect(first, b"first", target="first:1")
            assert (front.calls, first.got, here.records) == (["start", "close"], b"first", [])
            downstream.data([b"answer"])
            writer.write(b"second")
            await until(lambda: first.got == b"firstsecond")
            downstream.connect(second, b"second", target="second:2")
            downstream.data([b"an"])
            writer.transport.abort()
            await until(lambda: here.gateway.live == 0)
            figures = [(record.target, record.bytes_in, record.bytes_out) for record in here.records]
            assert figures == [("first:1", 5, 6), ("second:2", 6, 2)]
            assert (first.calls, second.calls) == (["start", "close"], ["start", "close"])
            totals = here.gateway.statistics
            assert (totals.accepted, totals.bytes_in, totals.bytes_out) == (1, 18, 8)

    on_loop(test())


def test_an_upstream_in_anothers_place_hears_that_the_user_has_closed_its_half() -> None:
    async def test() -> None:
        async with stage() as here:
            _, writer, downstream = await here.dial()
            front, chosen = Script(), Script()
            downstream.connect(front)
            writer.write_eof()
            await until(lambda: front.calls == ["start", "eof"])
            downstream.connect(chosen, b"all of it")
            assert (chosen.got, chosen.calls) == (b"all of it", ["start", "eof"])
            downstream.ended()
            await until(lambda: here.gateway.live == 0)
            writer.close()

    on_loop(test())


def test_only_an_idle_connection_is_closed_in_order_when_the_gateway_ends() -> None:
    async def test() -> None:
        async with stage() as here:
            endings = list[str]()
            for activity in Activity:
                reader, writer, downstream = await here.dial()
                downstream.connect(Script(activity=activity))
                downstream.stop("gateway ends")
                try:
                    endings.append("reset" if await reader.read() else "closed")
                except ConnectionResetError:
                    endings.append("reset")
                writer.close()
            assert dict(zip(Activity, endings, strict=True)) == {
                Activity.BUSY: "reset",
                Activity.IDLE: "closed",
                Activity.UNKNOWN: "reset",
            }

    on_loop(test())


def test_a_late_request_is_the_upstreams_to_end_and_its_rest_is_dropped() -> None:
    async def test() -> None:
        async with stage() as here:
            _, writer, downstream = await here.dial()
            script = Script()
            downstream.connect(script)
            downstream.end_input()
            downstream.refuse_input("too late")
            downstream.end_input()
            writer.write(b"rest")
            writer.write_eof()
            await until(lambda: "eof" in script.calls)
            assert (script.calls, script.got, here.told) == (["start", "late", "eof"], b"", ["too late"])
            assert here.gateway.statistics.timed_out == 1
            downstream.ended()
            writer.close()

    on_loop(test())


def test_a_user_that_resets_its_connection_leaves_nothing() -> None:
    async def test() -> None:
        async with stage(GatewayLimits(input_high_water=1, look_every=0.001)) as here:
            for waiting in (0, 2):  # read from, and not
                _, writer, downstream = await here.dial()
                script = Script(waiting_bytes=waiting)
                downstream.connect(script)
                writer.write(b"a")
                await until(lambda script=script: bool(script.got))  # type: ignore[misc]
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
                await until(lambda: here.gateway.live == 0)
                assert script.calls == ["start", "close"]
            assert [record.completion for record in here.records] == ["reset", "reset"]
            assert here.gateway.statistics.reset == 2

    on_loop(test())
