"""Byte streams between real processes over real UDP: whatever replica answers, the bytes are right."""

import asyncio
import hashlib
from collections.abc import Iterator

import pytest

from tests.support.processes import Fleet
from tests.support.replica_program import PUBLIC, tape, tape_digest
from trickles import ClientConfig, Dialer, Policy, Stream, connect
from trickles.wire.kinds import Suite

pytestmark = pytest.mark.e2e

PATIENCE = 30.0
READ_BYTES = 1 << 18


def config(**options: object) -> ClientConfig:
    return ClientConfig(identity=PUBLIC, first=0, **options)  # type: ignore[arg-type]


async def fetched(stream: Stream, size_bytes: int) -> str:
    """Ask for so much of the tape; the digest of what comes, to the end of the stream."""
    stream.write(b"get %d\n" % size_bytes)
    stream.write_eof()
    digest = hashlib.sha256()
    async with asyncio.timeout(PATIENCE):
        while data := await stream.read(READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


@pytest.fixture(scope="module", params=["127.0.0.1", "::1"])
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(2, "--spool", tmp_path_factory.mktemp("spool"), host=request.param) as started:
        yield started


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("policy", [Policy.HOME, Policy.SPRAY])
def test_two_replicas_that_share_only_a_keyring_serve_one_download(fleet: Fleet, policy: Policy, suite: Suite) -> None:
    size_bytes = 8_000_003

    async def download() -> None:
        async with await connect(fleet.addresses, config=config(policy=policy, suite=suite)) as stream:
            assert await fetched(stream, size_bytes) == tape_digest(size_bytes)
            served = stream._connection.client.delivery.served
            assert set(served) == set(fleet.addresses if policy is Policy.SPRAY else fleet.addresses[:1])
            if policy is Policy.SPRAY:
                assert min(served.values()) * 4 > max(served.values())

    asyncio.run(download())


def test_many_requests_follow_each_other_on_one_connection(fleet: Fleet) -> None:
    async def converse() -> None:
        async with await connect(fleet.addresses, config=config(policy=Policy.SPRAY)) as stream:
            for size_bytes in [0, 1, 1_000, 0, 100_000, *range(1_200, 1_300)]:
                stream.write(b"get %d\n" % size_bytes)
                assert await exactly(stream, size_bytes) == tape(0, size_bytes)
            stream.write(b"get 5\nget 3000\n")
            stream.write_eof()
            assert await stream.read() == tape(0, 5) + tape(0, 3_000)

    asyncio.run(asyncio.wait_for(converse(), PATIENCE))


async def exactly(stream: Stream, size_bytes: int) -> bytes:
    data = b""
    while len(data) < size_bytes and (part := await stream.read(size_bytes - len(data))):
        data += part
    return data


@pytest.mark.parametrize("suite", Suite)
def test_five_megabytes_go_up_through_the_spool_of_two_replicas(fleet: Fleet, suite: Suite) -> None:
    size_bytes = 5_000_000

    async def upload() -> None:
        async with await connect(fleet.addresses, config=config(policy=Policy.SPRAY, suite=suite)) as stream:
            stream.write(b"sum %d\n" % size_bytes)
            for start in range(0, size_bytes, 50_000):
                stream.write(tape(start, start + 50_000))
                await stream.drain()
            stream.write_eof()
            assert await stream.read() == tape_digest(size_bytes).encode() + b"\n"

    asyncio.run(asyncio.wait_for(upload(), PATIENCE))


def test_fifty_connections_at_once_share_what_they_learn(fleet: Fleet) -> None:
    async def all_of_them() -> None:
        dialer = Dialer(fleet.addresses, config(), spare_sockets=8)
        streams = [await connect([], dialer=dialer) for _ in range(50)]
        digests = await asyncio.gather(*(fetched(stream, 200_000 + index) for index, stream in enumerate(streams)))
        assert digests == [tape_digest(200_000 + index) for index in range(50)]
        async with await connect([], dialer=dialer) as late:
            assert await fetched(late, 10) == tape_digest(10)
            assert late.statistics()["hellos"] == 1  # no question for the certificate
        dialer.close()

    asyncio.run(all_of_them())


def test_a_name_is_looked_up_and_one_that_does_not_resolve_is_an_error(fleet: Fleet) -> None:
    async def by_name() -> None:
        with pytest.raises(OSError, match=r"cannot find replica 'a\.\.b'"):
            await connect([("a..b", 1)])
        async with await connect([("localhost", port) for _, port in fleet.addresses], config=config()) as stream:
            stream.write(b"get 10\n")
            assert await exactly(stream, 10) == tape(0, 10)

    if fleet.addresses[0][0] == "127.0.0.1":
        asyncio.run(asyncio.wait_for(by_name(), PATIENCE))
