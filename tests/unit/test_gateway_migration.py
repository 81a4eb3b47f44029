"""Live connections move to another gateway; what cannot move, or is no connection, does not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from tests.support.loop import on_loop, until
from tests.support.loopfleet import LoopFleet, config
from tests.support.programs import pass_time
from tests.support.replica_program import tape, tape_digest
from trickles import Dialer
from trickles.gateway import Gateway, migration
from trickles.gateway.accesslog import ConnectionRecord
from trickles.gateway.migration import Departure
from trickles.wire.kinds import Suite


@dataclass(slots=True)
class Street:
    """Two gateways to one fleet, and what lies between them."""

    fleet: LoopFleet
    old: Gateway
    new: Gateway
    port: int
    heir: socket.socket
    receiving: asyncio.Task[None]
    accounts: list[ConnectionRecord]

    async def move(self) -> int:
        """Move all that will; returns how many did."""
        await asyncio.sleep(0)
        return sum([await migration.moved(member, self.heir) for member in self.old.leaving()])


@asynccontextmanager
async def street(suite: Suite = Suite.SEALED) -> AsyncIterator[Street]:
    """One that is cleaned up."""
    with LoopFleet(2) as fleet:
        dialers = [Dialer(fleet.addresses, config(suite=suite)) for _ in range(2)]
        old, new = map(Gateway, dialers)
        accounts = list[ConnectionRecord]()
        new.watch(accounts.append)
        [(_, port)] = await old.listen("127.0.0.1", 0)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        receiving = asyncio.create_task(migration.received(theirs, dialers[1], new.adopt))
        try:
            yield Street(fleet, old, new, port, ours, receiving, accounts)
        finally:
            ours.close()
            await receiving
            await old.close()
            await new.close()


@pytest.mark.parametrize("suite", list(Suite))
def test_a_download_goes_on_elsewhere_with_every_byte(suite: Suite) -> None:
    async def test() -> None:
        async with street(suite) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port, limit=1 << 16)
            writer.write(b"get 20000000\n")
            writer.write_eof()
            got = await reader.readexactly(1_000_000)
            while not await here.move():
                got += await reader.read(1 << 16)
            assert here.new.live == 1
            await until(lambda: here.old.live == 0)
            await here.old.close()
            assert got + await reader.read() == tape(0, 20_000_000)
            await until(lambda: bool(here.accounts))
            account = here.accounts[0]
            assert (account.completion, account.bytes_in, account.bytes_out) == ("complete", 13, 20_000_000)
            writer.close()

    on_loop(test())


def test_an_upload_goes_on_elsewhere_with_every_byte() -> None:
    async def test() -> None:
        async with street() as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(b"sum 3000000\n" + tape(0, 1_500_000))
            await writer.drain()
            await until(lambda: here.old.statistics.bytes_in > 500_000)
            assert await here.move() == 1
            writer.write(tape(1_500_000, 3_000_000))
            assert await reader.readexactly(65) == tape_digest(3_000_000).encode() + b"\n"
            writer.close()

    on_loop(test())


def test_a_connection_that_stands_idle_goes_on_elsewhere_and_back_again() -> None:
    async def test() -> None:
        async with street() as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            for _ in range(2):
                writer.write(b"get 1000\n")
                assert await reader.readexactly(1000) == tape(0, 1000)
                await here.move()
            assert here.new.live == 1
            assert len(here.new.leaving()) == 1
            here.new.stay()
            writer.write(b"bye 5\n")
            assert await reader.read() == tape(0, 5)
            writer.close()

    on_loop(test())


@asynccontextmanager
async def staying() -> AsyncIterator[tuple[Street, Departure]]:
    """A download under way that could leave; whatever a successor said to it, all of it comes."""
    async with street() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port, limit=1 << 16)
        writer.write(b"get 3000000\n")
        writer.write_eof()
        got = await reader.readexactly(1000)
        [member] = here.old.leaving()
        yield here, member
        assert got + await reader.read() == tape(0, 3_000_000)
        writer.close()


async def offered(member: Departure, answer: bytes) -> bool:
    """Whether it moves to a successor that answers so."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        theirs.sendall(answer)
        return await migration.moved(member, ours)


def test_a_successor_that_says_no_or_nothing_leaves_it_where_it_is() -> None:
    async def test() -> None:
        async with staying() as (here, member):
            assert not await offered(member, migration.NO)
            assert here.old.leaving() == [member]
            here.heir.close()
            with pytest.raises(OSError, match="Bad file descriptor"):
                await migration.moved(member, here.heir)

    on_loop(test())


def test_a_yes_that_comes_with_the_timeout_is_one() -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            waiting = asyncio.create_task(migration._answered(ours, b"state", theirs.fileno()))
            await asyncio.sleep(0)
            theirs.send(migration.YES)
            pass_time(20.0)
            assert await waiting == migration.YES

    on_loop(test())


def test_what_has_not_shaken_hands_stays() -> None:
    async def test() -> None:
        async with street() as here:
            for index in range(2):
                here.fleet.kill(index)
            _, writer = await asyncio.open_connection("127.0.0.1", here.port)
            await until(lambda: here.old.live == 1)
            assert here.old.leaving() == []
            writer.transport.abort()

    on_loop(test())


def test_gateways_of_different_fleets_or_suites_do_not_go_on_with_each_other() -> None:
    fleet = [("192.0.2.1", 1)]
    marks = [
        migration.mark(Dialer(fleet, config())),
        migration.mark(Dialer(fleet, config(suite=Suite.OPEN))),
        migration.mark(Dialer(fleet, replace(config(), identity=bytes(32)))),
    ]
    assert len({*marks, migration.NO_MARK}) == 4
    assert migration.mark(Dialer(fleet, replace(config(), identity=None))) == migration.mark(None) == migration.NO_MARK


def test_a_successor_that_reads_no_such_snapshot_says_so_and_the_connection_stays() -> None:
    async def test() -> None:
        async with staying() as (here, member):
            with pytest.raises(OSError, match="cannot go on with a snapshot of version 1"):
                await offered(member, migration.UNKNOWN + b"a snapshot of version 1")
            here.old.stay()

    on_loop(test())


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (b"", b"-"),
        (bytes(100), b"-"),
        (bytes(25) + b"TRKS\0\x63", b"?a snapshot of version 99, and this release reads"),
    ],
)
def test_what_is_no_connection_is_refused_in_a_word(state: bytes, answer: bytes) -> None:
    async def test() -> None:
        async with street() as here:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                socket.send_fds(here.heir, [len(state).to_bytes(4, "big")], [theirs.fileno()])
                here.heir.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(here.heir, state)
                assert (await asyncio.get_running_loop().sock_recv(here.heir, 256)).startswith(answer)
            assert here.new.live == 0

    on_loop(test())
