"""Replicas die by SIGKILL and come back, while clients fetch and send: nobody notices, unless all stay away."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.support.processes import Fleet, Program, free_port, ready
from tests.support.replica_program import PUBLIC, tape, tape_digest
from trickles import ClientConfig, Limits, Policy, Stream, connect
from trickles.errors import ConnectionFailed
from trickles.limits import SECOND

pytestmark = pytest.mark.e2e

PATIENCE = 60.0
READ_BYTES = 1 << 16
SIZE_BYTES = 40_000_000


def config(*, policy: Policy = Policy.HOME, give_up_after: int = 30 * SECOND) -> ClientConfig:
    """Datagrams of 1,472 bytes at most: with those of loopback a transfer were over before anybody is killed."""
    limits = Limits(give_up_after=give_up_after)
    return ClientConfig(identity=PUBLIC, first=0, policy=policy, probe_sizes=(1_472,), limits=limits)


def home(stream: Stream) -> str:
    """The replica at work."""
    return str(stream.statistics()["replica"])


@pytest.mark.parametrize("policy", [Policy.HOME, Policy.SPRAY])
def test_the_serving_replica_is_killed_again_and_again_in_one_download(policy: Policy) -> None:
    async def download(fleet: Fleet) -> None:
        names = [f"{host}:{port}" for host, port in fleet.addresses]
        kills_at = list(range(1_000_000, SIZE_BYTES, SIZE_BYTES // 8))
        digest, received, away = hashlib.sha256(), 0, -1
        async with await connect(fleet.addresses, config=config(policy=policy)) as stream:
            stream.write(b"get %d\n" % SIZE_BYTES)
            stream.write_eof()
            while data := await stream.read(READ_BYTES):
                digest.update(data)
                received += len(data)
                if kills_at and received >= kills_at[0]:
                    kills_at.pop(0)
                    if away >= 0:  # the one before comes back first: two of three are always there
                        await asyncio.to_thread(fleet.restart, away)
                    away = names.index(home(stream))
                    fleet.kill(away)
            assert digest.hexdigest() == tape_digest(SIZE_BYTES)
            assert not kills_at
            assert int(stream.statistics()["failovers"]) >= 1

    with Fleet(3) as fleet:
        asyncio.run(asyncio.wait_for(download(fleet), PATIENCE))


async def some(stream: Stream, digest: "hashlib._Hash", size_bytes: int) -> None:
    """Read that much or a little more."""
    received = 0
    while received < size_bytes:
        data = await stream.read(READ_BYTES)
        assert data
        digest.update(data)
        received += len(data)


async def rest(stream: Stream, digest: "hashlib._Hash") -> str:
    """Read to the end; the digest of all that was read."""
    while data := await stream.read(READ_BYTES):
        digest.update(data)
    return digest.hexdigest()


def test_replicas_on_one_port_stand_in_for_each_other() -> None:
    async def all_of_them(port: int, victim: Program) -> list[str]:
        streams = [await connect([("127.0.0.1", port)], config=config()) for _ in range(12)]
        digests = [hashlib.sha256() for _ in streams]
        for stream in streams:
            stream.write(b"get %d\n" % SIZE_BYTES)
            stream.write_eof()
        await asyncio.gather(*map(some, streams, digests, [10_000] * len(streams)))
        victim.kill()
        return await asyncio.gather(*map(rest, streams, digests))

    port = free_port()
    words = ("tests.support.replica_program", "--port", port, "--reuse-port")
    with Program(*words) as first, Program(*words) as second:
        assert ready(first) == ready(second) == ("127.0.0.1", port)
        digests = asyncio.run(asyncio.wait_for(all_of_them(port, first), PATIENCE))
    assert set(digests) == {tape_digest(SIZE_BYTES)}


def test_a_transfer_waits_for_replicas_that_all_went_and_one_that_comes_back() -> None:
    async def download(fleet: Fleet) -> str:
        digest = hashlib.sha256()
        async with await connect(fleet.addresses, config=config()) as stream:
            stream.write(b"get %d\n" % SIZE_BYTES)
            stream.write_eof()
            await some(stream, digest, 1_000_000)
            fleet.kill(0)
            fleet.kill(1)
            await asyncio.to_thread(fleet.restart, 1)
            return await rest(stream, digest)

    with Fleet(2) as fleet:
        assert asyncio.run(asyncio.wait_for(download(fleet), PATIENCE)) == tape_digest(SIZE_BYTES)


def test_without_replicas_a_transfer_fails_in_time_and_the_next_one_finds_them_again() -> None:
    async def download(fleet: Fleet) -> None:
        brief = config(give_up_after=SECOND // 2)
        async with await connect(fleet.addresses, config=brief) as stream:
            stream.write(b"get %d\n" % SIZE_BYTES)
            await some(stream, hashlib.sha256(), 1_000_000)
            fleet.kill(0)
            fleet.kill(1)
            with pytest.raises(ConnectionFailed, match="no replica answers"):
                await rest(stream, hashlib.sha256())
        async with await connect(fleet.addresses, config=brief) as stream:
            with pytest.raises(ConnectionFailed, match="no answer to the handshake"):
                await stream.read()
        await asyncio.to_thread(fleet.restart, 0)
        async with await connect(fleet.addresses, config=brief) as stream:
            stream.write(b"get 100\n")
            stream.write_eof()
            assert await stream.read() == tape(0, 100)

    with Fleet(2) as fleet:
        asyncio.run(asyncio.wait_for(download(fleet), PATIENCE))


@pytest.mark.parametrize("policy", [Policy.HOME, Policy.SPRAY])
def test_an_upload_outlives_the_replicas_that_took_it(policy: Policy, tmp_path: Path) -> None:
    size_bytes, pieces = 5_000_000, 100

    async def upload(fleet: Fleet) -> bytes:
        async with await connect(fleet.addresses, config=config(policy=policy)) as stream:
            stream.write(b"sum %d\n" % size_bytes)
            for piece in range(pieces):
                stream.write(tape(piece * size_bytes // pieces, (piece + 1) * size_bytes // pieces))
                await stream.drain()
                if piece % 25 == 10:
                    fleet.kill(piece // 25 % 2)
                elif piece % 25 == 20:
                    await asyncio.to_thread(fleet.restart, piece // 25 % 2)
            stream.write_eof()
            return await stream.read()

    with Fleet(2, "--spool", tmp_path) as fleet:
        assert asyncio.run(asyncio.wait_for(upload(fleet), PATIENCE)) == tape_digest(size_bytes).encode() + b"\n"
