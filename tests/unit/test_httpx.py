"""httpx clients whose transport is a fleet: every byte, whoever dies, and every failure under httpx's own names."""

import asyncio
import gc
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fleetkeys import IDENTITY
from tests.support.loop import on_loop
from tests.support.loopfleet import PUBLIC, LoopFleet
from tests.support.origins import origin
from tests.support.site_folder import fill
from tests.support.toys import Patient, body
from trickles import Deferred, Epoch, Event, Keyring, Reply, Service
from trickles.drivers.addresses import shown
from trickles.drivers.keystore import server_key_text
from trickles.drivers.known_hosts import VARIABLE
from trickles.drivers.world import wall_us
from trickles.errors import KeyringError
from trickles.handshake import certify
from trickles.httpx import AsyncTricklesTransport, Fleet, TricklesTransport
from trickles.limits import SECOND

HELLO = b"Hello, world\n"
LARGE = body(12_000_000)  # more than a client takes unread
URL = "http://files.example"
NOBODY = Fleet(["127.0.0.1:1"], server_key=server_key_text(PUBLIC), give_up_seconds=0.3)


def fleet_of(replicas: LoopFleet, **options: Any) -> Fleet:
    """The fleet as a client is told of it."""
    return Fleet([shown(each) for each in replicas.addresses], server_key=server_key_text(PUBLIC), **options)


def fresh_keys() -> Keyring:
    """Keys whose certificate holds today."""
    return Keyring((certify(Epoch(1, os.urandom(32), wall_us() - SECOND), IDENTITY),))


@pytest.fixture
def site(tmp_path: Path) -> Service:
    return origin(fill(tmp_path, {"hello.txt": HELLO, "large": LARGE}))


@asynccontextmanager
async def replicas(service: Service) -> AsyncIterator[LoopFleet]:
    with LoopFleet(2, service, keyring=fresh_keys()) as fleet:
        yield fleet


@asynccontextmanager
async def client(service: Service, **options: Any) -> AsyncIterator[tuple[httpx.AsyncClient, LoopFleet]]:
    async with replicas(service) as fleet:
        transport = AsyncTricklesTransport({"files.example": fleet_of(fleet)})
        async with httpx.AsyncClient(transport=transport, base_url=URL, **options) as made:
            yield made, fleet


def threads() -> int:
    """How many loops run in threads."""
    return [each.name for each in threading.enumerate()].count("trickles.httpx")


def blocking(test: Callable[[LoopFleet], None], service: Service) -> None:
    """Run a test of the blocking client in a thread, beside its fleet."""

    async def beside() -> None:
        async with replicas(service) as fleet:
            await asyncio.to_thread(test, fleet)

    on_loop(beside())


def test_one_connection_serves_many_requests(site: Service) -> None:
    async def test() -> None:
        async with client(site) as (http, fleet):
            assert (await http.get("/hello.txt")).text == "Hello, world\n"
            assert (await http.get("/large")).content == LARGE
            part = await http.get("/large", headers={"Range": "bytes=1000-1999"})
            assert (part.status_code, part.content) == (206, LARGE[1000:2000])
            assert (await http.get("/nowhere")).status_code == 404
            assert (await http.put("/hello.txt", content=bytes(60_000))).status_code == 405
            assert fleet.counted("hellos") == 1

    on_loop(test())


def test_a_download_outlives_its_replica(site: Service) -> None:
    async def test() -> None:
        async with client(site) as (http, fleet), http.stream("GET", "/large") as response:
            connection = response.extensions["network_stream"]
            home = connection.get_extra_info("statistics")["replica"]
            fleet.kill([shown(each) for each in fleet.addresses].index(home))
            assert b"".join([part async for part in response.aiter_raw()]) == LARGE
            assert connection.get_extra_info("statistics")["replica"] != home
            assert connection.get_extra_info("no such thing") is None

    on_loop(test())


def test_many_at_once_share_a_transport(site: Service) -> None:
    async def test() -> None:
        async with client(site) as (http, _):
            answers = await asyncio.gather(*(http.get("/hello.txt") for _ in range(20)))
            assert {answer.content for answer in answers} == {HELLO}

    on_loop(test())


def test_an_abandoned_body_leaves_the_client_usable(site: Service) -> None:
    async def test() -> None:
        async with client(site) as (http, _):
            async with http.stream("GET", "/large") as response:
                await anext(response.aiter_raw())
            assert (await http.get("/hello.txt")).content == HELLO

    on_loop(test())


def test_a_transport_serves_one_loop_after_another(site: Service) -> None:
    made: list[httpx.AsyncClient] = []

    async def test() -> None:
        async with replicas(site) as fleet:
            transport = AsyncTricklesTransport(fleet_of(fleet))
            for _ in range(2):
                made.append(httpx.AsyncClient(transport=transport))

                def elsewhere() -> int:
                    return asyncio.run(status(made.pop()))

                assert await asyncio.to_thread(elsewhere) == 200

    async def status(http: httpx.AsyncClient) -> int:
        async with http:
            return (await http.get(f"{URL}/hello.txt")).status_code

    on_loop(test())


def test_the_blocking_client_needs_no_loop_and_leaves_no_thread(site: Service) -> None:
    def test(fleet: LoopFleet) -> None:
        transport = TricklesTransport({"files.example": fleet_of(fleet)})
        assert threads() == 0
        with httpx.Client(transport=transport, base_url=URL) as http:
            assert http.get("/large").content == LARGE
            with http.stream("GET", "/large") as response:
                parts = response.iter_raw(1)
                assert next(parts) == LARGE[:1]
                connection = response.extensions["network_stream"]
                replica = connection.get_extra_info("statistics")["replica"]
            assert http.put("/hello.txt", content=bytes(60_000)).status_code == 405
            assert threads() == 1
        assert threads() == 0
        response.close()  # nobody is there to be told
        assert connection.get_extra_info("statistics")["replica"] == replica
        assert not connection.get_extra_info("no such thing")
        assert threads() == 0
        with httpx.Client(transport=transport, base_url=URL) as http:
            assert http.get("/hello.txt").content == HELLO

    blocking(test, site)


def test_threads_share_a_blocking_client(site: Service) -> None:
    def test(fleet: LoopFleet) -> None:
        answers: list[bytes] = []
        with httpx.Client(transport=TricklesTransport(fleet_of(fleet)), base_url=URL) as http:
            asking = [threading.Thread(target=lambda: answers.append(http.get("/large").content)) for _ in range(3)]
            for each in asking:
                each.start()
            for each in asking:
                each.join()
        assert answers == [LARGE] * 3

    blocking(test, site)


def test_who_still_reads_from_a_closed_client_is_told(site: Service) -> None:
    def test(fleet: LoopFleet) -> None:
        http = httpx.Client(transport=TricklesTransport(fleet_of(fleet)), base_url=URL)
        with http.stream("GET", "/large") as response:
            parts = response.iter_raw()
            next(parts)
            http.close()
            with pytest.raises(httpx.ReadError, match="closed"):
                b"".join(parts)
        assert threads() == 0

    blocking(test, site)


def test_a_forgotten_client_ends_its_thread(site: Service) -> None:
    def test(fleet: LoopFleet) -> None:
        httpx.Client(transport=TricklesTransport(fleet_of(fleet))).get(f"{URL}/hello.txt")
        gc.collect()
        assert threads() == 0

    blocking(test, site)


class Slow(Patient):
    """Never answers what it is asked."""

    def handle(self, event: Event) -> Reply | Deferred:  # type: ignore[override]
        """Put questions on the list."""
        return super().handle(event) if event.input else Reply()


def test_closing_wakes_who_waits_in_another_thread() -> None:
    service, failures = Slow(), []

    def test(fleet: LoopFleet) -> None:
        http = httpx.Client(transport=TricklesTransport(fleet_of(fleet)), timeout=None)

        def ask() -> None:
            try:
                http.get(URL)
            except httpx.TransportError as error:
                failures.append(error)

        waiting = threading.Thread(target=ask)
        waiting.start()
        while not service.waiting:
            waiting.join(0.01)
        http.close()
        waiting.join()

    blocking(test, service)
    assert [type(each) for each in failures] == [httpx.ReadError]


async def fails(
    request: Coroutine[Any, Any, httpx.Response], kind: type[httpx.TransportError], reason: str
) -> httpx.TransportError:
    """The request fails so."""
    with pytest.raises(kind, match=reason) as caught:
        await request
    assert type(caught.value) is kind
    assert caught.value.request.url.host
    return caught.value


@pytest.mark.slow
def test_failures_have_the_names_of_httpx(site: Service) -> None:
    unknown = Fleet(["no..name:1"], server_key=server_key_text(PUBLIC))
    stranger = server_key_text(bytes(32))

    async def test() -> None:
        async with replicas(site) as replica:
            posing = Fleet([shown(replica.addresses[0])], server_key=stranger)
            fleets = {"nobody": NOBODY, "unknown": unknown, "stranger": posing, "port:81": NOBODY}
            async with httpx.AsyncClient(transport=AsyncTricklesTransport(fleets)) as http:
                await fails(http.get("http://nobody"), httpx.ConnectError, "no answer to the handshake")
                await fails(http.get("http://unknown"), httpx.ConnectError, "cannot find replica")
                await fails(http.get("http://stranger"), httpx.ConnectError, "identity")
                await fails(http.get("http://elsewhere"), httpx.ConnectError, "no fleet .* elsewhere:80")
                await fails(http.get("http://port:82"), httpx.ConnectError, "no fleet .* port:82")
                await fails(http.get("http://PORT:81"), httpx.ConnectError, "no answer to the handshake")
                await fails(http.get("https://nobody"), httpx.UnsupportedProtocol, "use http://")

    on_loop(test())


def test_a_silent_fleet_is_a_timeout_of_its_own() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind(("127.0.0.1", 0))
            fleet = Fleet([shown(deaf.getsockname())], server_key=server_key_text(PUBLIC))
            timeout = httpx.Timeout(None, connect=0.05)
            async with httpx.AsyncClient(transport=AsyncTricklesTransport(fleet), timeout=timeout) as http:
                await fails(http.get(URL), httpx.ConnectTimeout, "too long")

    on_loop(test())


def test_a_slow_answer_is_a_timeout_of_reading() -> None:
    async def test() -> None:
        async with client(Slow(), timeout=httpx.Timeout(None, read=0.05)) as (http, _):
            await fails(http.get("/"), httpx.ReadTimeout, "too long")

    on_loop(test())


@pytest.mark.slow
def test_a_fleet_that_dies_fails_the_body_visibly_and_serves_when_it_is_back(site: Service) -> None:
    async def test() -> None:
        async with replicas(site) as fleet:
            transport = AsyncTricklesTransport(fleet_of(fleet, give_up_seconds=0.3))
            async with httpx.AsyncClient(transport=transport, base_url=URL) as http:
                async with http.stream("GET", "/large") as response:
                    fleet.kill(0)
                    fleet.kill(1)
                    with pytest.raises(httpx.ReadError, match="no replica answers"):
                        await response.aread()
                await fails(http.get("/hello.txt"), httpx.ConnectError, "no answer to the handshake")
                fleet.restart(0)
                assert (await http.get("/hello.txt")).content == HELLO

    on_loop(test())


@pytest.mark.slow
def test_trust_on_first_use_is_remembered(site: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tmp_path / "known_hosts"
    monkeypatch.setenv(VARIABLE, str(known))

    async def test() -> None:
        async with replicas(site) as fleet:
            trusting = Fleet([shown(each) for each in fleet.addresses])
            async with httpx.AsyncClient(transport=AsyncTricklesTransport(trusting)) as http:
                assert (await http.get(URL + "/hello.txt")).content == HELLO
            assert server_key_text(PUBLIC) in known.read_text()
            known.write_text(known.read_text().replace(server_key_text(PUBLIC), server_key_text(bytes(32))))
            async with httpx.AsyncClient(transport=AsyncTricklesTransport(trusting)) as http:
                await fails(http.get(URL + "/hello.txt"), httpx.ConnectError, "has changed")

    on_loop(test())


@pytest.mark.parametrize(
    ("fleet", "kind"),
    [
        (Fleet([]), ValueError),
        (Fleet("127.0.0.1:1"), ValueError),
        (Fleet(["127.0.0.1"]), ValueError),
        (Fleet(["127.0.0.1:1"], policy="none"), ValueError),
        (Fleet(["127.0.0.1:1"], give_up_seconds=0), ValueError),
        (Fleet(["127.0.0.1:1"], server_key="/nowhere/server.pub"), KeyringError),
    ],
)
def test_what_cannot_be_a_fleet_is_refused_at_once(fleet: Fleet, kind: type[Exception]) -> None:
    for transport in (TricklesTransport, AsyncTricklesTransport):
        with pytest.raises(kind):
            transport({"files.example": fleet})
