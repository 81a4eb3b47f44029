"""requests, httpx, aiohttp and urllib, httpx without a gateway too: no replica's death is an event for them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.request import ProxyHandler, build_opener

import aiohttp
import httpx
import pytest
import requests

from tests.support.deaths import Matrix
from tests.support.processes import PATIENCE_SECONDS
from trickles.httpx import AsyncTricklesTransport, Fleet, TricklesTransport

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("matrix")]

PIECE_BYTES = 1 << 16


@pytest.fixture
def fleet(matrix: Matrix) -> Fleet:
    """The fleet, for clients without a gateway."""
    served = matrix.deaths.fleet
    return Fleet(served.udp, server_key=served.run_dir / "server.pub")


def test_requests(matrix: Matrix) -> None:
    with requests.Session() as session:
        session.trust_env = False

        def work() -> None:
            with session.get(f"{matrix.url}/large.bin", stream=True, timeout=PATIENCE_SECONDS) as response:
                response.raise_for_status()
                assert b"".join(response.iter_content(PIECE_BYTES)) == matrix.large

        matrix.outlived_by(work)


def test_urllib(matrix: Matrix) -> None:
    opener = build_opener(ProxyHandler({}))

    def work() -> None:
        with opener.open(f"{matrix.url}/large.bin", timeout=PATIENCE_SECONDS) as response:
            assert response.read() == matrix.large

    matrix.outlived_by(work)


@pytest.fixture(params=["gateway", "native"])
def http(request: pytest.FixtureRequest, matrix: Matrix, fleet: Fleet) -> Iterator[httpx.Client]:
    """A client through a gateway, or one that speaks Trickles."""
    url = matrix.url if request.param == "gateway" else "http://files.example"
    transport = None if request.param == "gateway" else TricklesTransport({"files.example": fleet})
    with httpx.Client(transport=transport, base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
        yield client


def test_httpx(matrix: Matrix, http: httpx.Client) -> None:
    def work() -> None:
        assert http.get("/large.bin").content == matrix.large
        part = http.get("/large.bin", headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, matrix.large[100:200])

    matrix.outlived_by(work)


async def fetched(urls: list[str], client: httpx.AsyncClient) -> list[bytes]:
    """What lies there, all at once."""
    answers = await asyncio.gather(*map(client.get, urls))
    return [answer.content for answer in answers]


def test_httpx_on_asyncio_many_at_once_without_a_gateway(matrix: Matrix, fleet: Fleet) -> None:
    urls = [f"http://files.example/small/{index}.bin" for index in range(len(matrix.small))]

    async def ask() -> list[bytes]:
        transport = AsyncTricklesTransport({"files.example": fleet})
        async with httpx.AsyncClient(transport=transport, timeout=PATIENCE_SECONDS) as client:
            return await fetched(urls, client)

    def work() -> None:
        assert asyncio.run(ask()) == matrix.small

    matrix.outlived_by(work)


def test_aiohttp_many_at_once(matrix: Matrix) -> None:
    @asynccontextmanager
    async def session() -> AsyncIterator[aiohttp.ClientSession]:
        timeout = aiohttp.ClientTimeout(total=2 * PATIENCE_SECONDS)
        async with aiohttp.ClientSession(matrix.url, timeout=timeout, raise_for_status=True) as opened:
            yield opened

    async def ask() -> None:
        async def one(path: str) -> bytes:
            async with client.get(path) as response:
                return await response.read()

        async with session() as client:
            paths = [f"/small/{index}.bin" for index in range(len(matrix.small))]
            assert await asyncio.gather(*map(one, paths)) == matrix.small
            assert await one("/large.bin") == matrix.large

    matrix.outlived_by(lambda: asyncio.run(ask()))
