"""What a gateway bears: how many programs, for how long, and how much it keeps for them."""

from dataclasses import dataclass, field

import pytest

from tests.support.gatewayhouse import SMALL, House, house
from tests.support.loop import on_loop, until
from tests.support.replica_program import Lines, tape
from trickles import Continuation, Event, Refusal, Reply
from trickles.gateway import GatewayLimits
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream


def test_one_program_too_many_is_reset_and_told_of() -> None:
    async def test() -> None:
        async with house(limits=GatewayLimits(most_connections=1)) as home:
            reader, writer = await home.dial()
            writer.write(b"get 10\n")
            await reader.readexactly(10)
            with pytest.raises(ConnectionResetError):
                await home.ask(b"get 1\n")
            assert home.told == ["too many connections"]
            assert (home.gateway.live, home.gateway.figures()["refused"]) == (1, 1)
            writer.close()
            await until(lambda: home.gateway.live == 0)
            assert await home.ask(b"get 1\n") == tape(0, 1)

    on_loop(test())


@dataclass(slots=True)
class Patient:
    """Answers when the input ends, with how much there was."""

    def handle(self, event: Event) -> Reply:
        """Wait for the end."""
        if not event.input_end:
            return Reply()
        answer = b"%d bytes" % event.input_stop
        return Reply(((0, answer),), Continuation(answer, 0, len(answer), event.input_stop), len(answer))


def test_a_request_without_end_is_ended_for_the_server_to_answer() -> None:
    async def test() -> None:
        async with house(Patient(), limits=GatewayLimits(request_timeout=0.01, sweep_every=0.001)) as home:
            reader, writer = await home.dial()
            writer.write(b"get")
            assert await reader.read() == b"3 bytes"
            writer.write(b"what is not taken any more")
            writer.close()
            await until(lambda: home.gateway.live == 0)
            assert home.told == ["request not complete in time"]
            figures = home.gateway.figures()
            assert (figures["timed_out"], figures["completed"], figures["bytes_in"]) == (1, 1, 3)

    on_loop(test())


@dataclass(slots=True)
class Slow:
    """Answers lines, but not the first few times."""

    left: int = 3
    lines: Lines = field(default_factory=Lines)

    def handle(self, event: Event) -> Reply:
        """Say that it is busy, or answer."""
        if event.early or not self.left:
            return Reply() if event.early else self.lines.handle(event)
        self.left -= 1
        return Reply(refusal=Refusal.BUSY)


def test_a_whole_request_with_a_slow_answer_loses_nothing() -> None:
    async def test() -> None:
        async with house(Slow(), limits=GatewayLimits(request_timeout=0.01, sweep_every=0.001)) as home:
            reader, writer = await home.dial()
            writer.write(b"get 3000000\n")
            assert await reader.read() == tape(0, 3_000_000)
            assert home.told == ["request not complete in time"]
            writer.close()

    on_loop(test())


def test_an_idle_program_is_closed_in_order_once_it_has_read_all() -> None:
    async def test() -> None:
        limits = GatewayLimits(idle_timeout=0.01, sweep_every=0.001, request_timeout=0.0)
        async with house(limits=limits) as home:
            fresh, busy = await home.dial(), await home.dial(receive_bytes=SMALL)
            busy[1].write(b"get 4000000\n")
            assert await fresh[0].read() == b""
            assert await busy[0].read() == tape(0, 4_000_000)
            for _, writer in (fresh, busy):
                writer.close()
            assert (home.told, home.gateway.figures()["reset"]) == ([], 0)

    on_loop(test())


def test_one_client_too_many_takes_the_place_of_who_stands_still() -> None:
    async def test() -> None:
        async with house(limits=GatewayLimits(most_connections=2, still_after=0.0)) as home:
            idle, busy = await home.dial(), await home.dial(receive_bytes=SMALL)
            busy[1].write(b"get 100000000\n")
            await until(lambda: any(each.held_back for each in home.gateway.context.table))
            assert await home.ask(b"get 1\n") == tape(0, 1)
            assert await idle[0].read() == b""
            third, fourth = await home.dial(), await home.dial()
            await until(lambda: home.told == ["made room"])
            with pytest.raises(ConnectionResetError):
                await busy[0].read()
            for _, writer in (idle, busy, third, fourth):
                writer.close()

    on_loop(test())


def test_one_client_address_has_its_own_bound() -> None:
    async def test() -> None:
        async with house(limits=GatewayLimits(most_per_client=1)) as home:
            _, writer = await home.dial()
            with pytest.raises(ConnectionResetError):
                await home.ask(b"get 1\n")
            assert home.told == ["too many connections of one client"]
            writer.close()
            await until(lambda: home.gateway.live == 0)
            assert await home.ask(b"get 1\n") == tape(0, 1)

    on_loop(test())


def test_the_more_programs_there_are_the_less_input_is_kept_for_a_new_one() -> None:
    async def test() -> None:
        limits = GatewayLimits(output_bytes=1 << 22, least_window_bytes=1 << 17)
        async with house(limits=limits) as home:
            kept = []
            for number in range(40):
                kept.append(home.gateway.context.kept_input_bytes // 5)
                reader, writer = await home.dial()
                writer.write(b"get 5\n")
                assert await reader.readexactly(5) == tape(0, 5)
                assert home.gateway.live == number + 1
            assert kept == [1 << 21, 1 << 20] + [1 << 19] * 2 + [1 << 18] * 4 + [1 << 17] * 32

    on_loop(test())


def _kept_bytes(home: House) -> int:
    """What lies in engines and transports for users that have not read it."""
    kept = 0
    for each in home.gateway.context.table:
        assert isinstance(each, Downstream)
        assert isinstance(each.upstream, FleetUpstream)
        connection, transport = each.upstream._connection, each._transport
        assert connection is not None
        assert transport is not None
        kept += connection.client.output_held_bytes + transport.get_write_buffer_size()
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("read_bytes", [0, 1_000_000])
def test_users_that_do_not_read_are_kept_less_than_the_bound_all_together(read_bytes: int) -> None:
    bound_bytes, users = 1 << 19, 8

    async def test() -> None:
        limits = GatewayLimits(output_bytes=bound_bytes, most_connections=users)
        async with house(limits=limits) as home:
            for _ in range(users):
                reader, writer = await home.dial(receive_bytes=SMALL)
                writer.write(b"get 100000000\n")
                await reader.readexactly(read_bytes)
                await until(lambda: all(each.held_back for each in home.gateway.context.table))
                assert _kept_bytes(home) <= bound_bytes
            memory = home.gateway.context.memory
            assert bound_bytes // 4 < memory.held_bytes <= _kept_bytes(home)
            await home.gateway.close()
            await until(lambda: memory.held_bytes == 0)

    on_loop(test())
