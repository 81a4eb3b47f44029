"""TLS at a gateway: the same crossings as without it, and handshakes that go wrong."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.gatewayhouse import House
from tests.support.loop import on_loop, until
from tests.support.loopfleet import LoopFleet, config
from tests.support.replica_program import tape
from trickles import Dialer
from trickles.gateway import Gateway, GatewayLimits
from trickles.gateway.certificates import Certificates

HELLO = bytes.fromhex("16030100050100010000")  # the begin of a handshake that does not go on


@dataclass(slots=True, kw_only=True)
class TlsHouse(House):
    """With what its gateway shows, and a client's idea of whom to trust."""

    certificates: Certificates
    authority: Authority
    client: ssl.SSLContext


@asynccontextmanager
async def house(tmp_path: Path, limits: GatewayLimits = GatewayLimits()) -> AsyncIterator[TlsHouse]:  # noqa: B008
    """One that is cleaned up."""
    authority, told = Authority(tmp_path), list[str]()
    pair = authority.issue()
    found = Certificates(pair.certificate, pair.key, report=told.append)
    with LoopFleet() as fleet:
        gateway = Gateway(
            Dialer(fleet.addresses, config()),
            limits=limits,
            report=lambda _, reason: told.append(reason),
            certificates=found,
        )
        client = ssl.create_default_context(cafile=str(authority.file))
        home = TlsHouse(gateway, told, certificates=found, authority=authority, client=client)
        await home.open()
        try:
            yield home
        finally:
            await home.close()


async def says_bye(home: TlsHouse) -> None:
    """A connection that is served to its end."""
    reader, writer = await home.dial(tls=home.client)
    writer.write(b"bye 5\n")
    assert await reader.read() == tape(0, 5)
    writer.close()
    await writer.wait_closed()


def test_bytes_cross_and_the_answer_ends_with_a_close_notify(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as home:
            home.client.set_alpn_protocols(["h2", "http/1.1"])
            reader, writer = await home.dial(tls=home.client)
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            writer.write(b"get 3000000\nbye 5\n")
            assert await reader.read() == tape(0, 3_000_000) + tape(0, 5)
            writer.close()
            await writer.wait_closed()
            await until(lambda: home.gateway.live == 0)
            figures = home.gateway.figures()
            assert (figures["completed"], figures["failed"], figures["reset"]) == (1, 0, 0)
            assert figures["bytes_out"] == 3_000_005
            assert home.told == []

    on_loop(test())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_other_protocols_than_http_1_1_are_refused_by_an_alert(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """RFC 7301 3.2: not taken without a protocol, of which a client of HTTP/2 alone would not learn."""

    async def test() -> None:
        async with house(tmp_path) as home:
            home.client.maximum_version = home.client.minimum_version = version
            home.client.set_alpn_protocols(["h2", "acme-tls/1"])
            with pytest.raises(ssl.SSLError, match=r"(?i)no application protocol"):
                await home.dial(tls=home.client)
            await until(lambda: home.gateway.live == 0)
            assert home.told == ["TLS handshake: no application protocol"]
            home.client.set_alpn_protocols(["http/1.1"])
            await says_bye(home)

    on_loop(test())


def test_the_least_version_is_1_2(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as home:
            home.client.maximum_version = ssl.TLSVersion.TLSv1_2
            await says_bye(home)

    on_loop(test())


def test_a_slow_reader_gets_all_of_a_complete_answer(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path, GatewayLimits(linger=0.001, unsent_bytes=1 << 22)) as home:
            reader, writer = await home.dial(tls=home.client)
            writer.write(b"bye 4000000\n")
            await until(lambda: home.gateway.figures()["completed"] == 1)
            assert await reader.read() == tape(0, 4_000_000)
            writer.close()
            await writer.wait_closed()

    on_loop(test())


def test_a_program_that_says_that_it_has_ended_still_gets_its_answer(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as home:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = home.client.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
            reader, writer = await home.dial()

            async def until_done(step: Callable[[], object]) -> object:
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        writer.write(outgoing.read())
                        incoming.write(await reader.read(1 << 16))
                    finally:
                        writer.write(outgoing.read())

            await until_done(tls.do_handshake)
            tls.write(b"get 5\n")
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
            writer.write(outgoing.read())
            assert await until_done(lambda: tls.read(100)) == tape(0, 5)
            with pytest.raises(ssl.SSLZeroReturnError):
                await until_done(lambda: tls.read(100))
            writer.close()
            await writer.wait_closed()
            await until(lambda: home.gateway.live == 0)
            assert home.gateway.figures()["completed"] == 1

    on_loop(test())


def test_a_transfer_that_fails_lacks_the_close_notify(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as home:
            reader, writer = await home.dial(tls=home.client)
            writer.write(b"get 2000000000\n")
            await reader.readexactly(5)
            await home.gateway.close()
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                await reader.read()
            writer.transport.abort()
            assert home.told == ["gateway ends"]

    on_loop(test())


def test_handshakes_that_go_wrong_are_told_and_cost_nobody_else_anything(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as home:
            reader, writer = await home.dial()
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.read())[:1] in (b"", b"\x15")  # an alert, if anything
            writer.close()
            _, writer = await home.dial()
            writer.write(HELLO)
            writer.close()
            await until(lambda: len(home.told) == 2)
            _, writer = await home.dial()
            writer.close()  # who says nothing has done nothing wrong
            assert home.told == ["TLS handshake: http request", "TLS handshake: it went away"]
            assert home.gateway.statistics.reasons == {"TLS handshake": 2}
            await until(lambda: home.gateway.live == 0)
            distrustful = ssl.create_default_context()
            with pytest.raises(ssl.SSLCertVerificationError):
                await home.dial(tls=distrustful)
            await until(lambda: len(home.told) == 3)
            assert home.told[2].startswith("TLS handshake: ")

    on_loop(test())


def test_a_handshake_that_takes_too_long_is_broken_off(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path, GatewayLimits(handshake=0.01)) as home:
            reader, writer = await home.dial()
            writer.write(HELLO)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            assert home.told == ["TLS handshake: too slow"]

    on_loop(test())


def test_who_has_not_finished_a_handshake_counts_as_live(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path, GatewayLimits(most_connections=1)) as home:
            _, idle = await home.dial()
            await until(lambda: home.gateway.live == 1)
            reader, writer = await home.dial()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            assert home.told == ["too many connections"]
            idle.close()
            writer.close()
            await until(lambda: home.gateway.live == 0)
            await says_bye(home)

    on_loop(test())


def test_records_that_were_altered_break_the_connection(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(tmp_path) as home:
            reader, writer = await home.dial(tls=home.client)
            writer.write(b"get 5\n")
            assert await reader.readexactly(5) == tape(0, 5)
            raw: socket.socket = writer.get_extra_info("socket")
            raw._sock.send(b"\x17\x03\x03\x00\x20" + bytes(32))  # type: ignore[attr-defined]
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                await reader.readexactly(1)
            await until(lambda: home.gateway.live == 0)
            writer.transport.abort()

    on_loop(test())


def test_new_connections_see_the_new_certificate(tmp_path: Path) -> None:
    async def shown(home: TlsHouse) -> object:
        reader, writer = await home.dial(tls=home.client)
        subject = writer.get_extra_info("peercert")["serialNumber"]
        writer.write(b"bye 5\n")
        assert await reader.read() == tape(0, 5)
        writer.close()
        await writer.wait_closed()
        return subject

    async def test() -> None:
        async with house(tmp_path) as home:
            first = await shown(home)
            home.authority.issue()
            assert await shown(home) == first
            home.certificates.reload()
            assert await shown(home) != first

    on_loop(test())
