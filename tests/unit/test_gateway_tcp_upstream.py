"""Passing through: plain TCP to hosts of no fleet, as far as they may be reached."""

import asyncio
import errno
import hashlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.loop import on_loop, until
from tests.support.proxyhouse import ProxyHouse, proxy_house, request, response
from trickles.gateway import GatewayLimits
from trickles.gateway.limits import DEFAULT_LIMITS
from trickles.gateway.routing import DirectAccess, is_of_this_machine, networks
from trickles.gateway.socks import CHOSEN, Code, reply

HERE = networks(["127.0.0.0/8", "::1/128"])
RESET = struct.pack("ii", 1, 0)
BLOCK = bytes(range(256)) * 256
BLOCKS = 400
HELLO = b"\x05\x01\x00"


async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A far end: what it heard comes back behind the word, once the other half is closed."""
    word = await reader.readexactly(4)
    if word == b"rst!":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
        return
    if word == b"many":
        for _ in range(BLOCKS):
            writer.write(BLOCK)
            await writer.drain()
    writer.write(word + await reader.read())
    writer.close()


@asynccontextmanager
async def far_end(
    folder: Path, *, allowed: bool = True, limits: GatewayLimits = DEFAULT_LIMITS
) -> AsyncIterator[tuple[ProxyHouse, int]]:
    """A proxy that passes through, and the port of a far end."""
    own_ports = set[int]()
    server = await asyncio.start_server(tell, "127.0.0.1", 0)
    passing = DirectAccess(HERE if allowed else (), own_ports)
    async with server, proxy_house(folder, passing=passing, limits=limits) as home:
        own_ports |= home.gateway.own_ports
        yield home, server.sockets[0].getsockname()[1]


def connect(port: int, host: str = "127.0.0.1") -> bytes:
    """A tunnel there."""
    return b"CONNECT %s:%d HTTP/1.1\r\n\r\n" % (host.encode(), port)


async def opened(home: ProxyHouse, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A tunnel to the far end."""
    reader, writer = await home.dial()
    writer.write(connect(port))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    return reader, writer


def test_bytes_and_half_closes_cross(tmp_path: Path) -> None:
    async def test() -> None:
        async with far_end(tmp_path) as (home, port):
            assert (await home.ask(connect(port) + b"word" + BLOCK)).endswith(b"\r\n\r\nword" + BLOCK)
            socks = HELLO + b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2)
            assert await home.ask(socks + b"word") == CHOSEN + reply(Code.SUCCEEDED) + b"word"
            await until(lambda: home.gateway.live == 0)
            assert home.gateway.context.direct_ports == set()
            assert home.told == []
            assert home.gateway.figures()["completed"] == 2

    on_loop(test())


def test_a_request_in_absolute_form_goes_on_as_the_only_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with far_end(tmp_path) as (home, port):
            answer = await home.ask(request(f"127.0.0.1:{port}", "/x", "Content-Length: 4") + b"body")
            assert answer.startswith(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)
            assert answer.endswith(b"\r\nConnection: close\r\n\r\nbody")

    on_loop(test())


@pytest.mark.slow
def test_who_reads_slowly_is_not_overtaken(tmp_path: Path) -> None:
    limits = GatewayLimits(output_bytes=1 << 16, most_connections=4)

    async def test() -> None:
        async with far_end(tmp_path, limits=limits) as (home, port):
            reader, writer = await opened(home, port)
            writer.write(b"many")
            digest, [downstream] = hashlib.sha256(), home.gateway.context.table
            for _ in range(BLOCKS):
                waiting = downstream._transport.get_write_buffer_size()  # type: ignore[attr-defined]
                assert waiting <= 1 << 14
                digest.update(await reader.readexactly(len(BLOCK)))
            assert digest.digest() == hashlib.sha256(BLOCK * BLOCKS).digest()
            for _ in range(BLOCKS):
                writer.write(BLOCK)
                await writer.drain()
            writer.write_eof()
            assert await reader.read() == b"many" + BLOCK * BLOCKS

    on_loop(test())


def test_resets_cross(tmp_path: Path) -> None:
    async def test() -> None:
        async with far_end(tmp_path) as (home, port):
            reader, writer = await opened(home, port)
            writer.write(b"rst!")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            assert home.told == [f"far end reset (127.0.0.1:{port})"]
            reader, writer = await opened(home, port)
            writer.transport.abort()
            await until(lambda: home.gateway.live == 0 and not home.gateway.context.direct_ports)
            reader, writer = await opened(home, port)
            await home.gateway.close()
            with pytest.raises(ConnectionResetError):
                await reader.read()

    on_loop(test())


def test_what_may_not_be_reached(tmp_path: Path) -> None:
    async def test() -> None:
        async with far_end(tmp_path, allowed=False) as (home, port):
            for host in (
                "127.0.0.1",
                "localhost",
                "0.0.0.0",
                "10.0.0.1",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "169.254.169.254",
            ):
                assert (await home.ask(connect(port, host))).startswith(b"HTTP/1.1 403 "), host
            socks = HELLO + b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2)
            assert await home.ask(socks) == CHOSEN + reply(Code.NOT_ALLOWED)
            assert home.gateway.figures()["reasons"] == {"host not allowed": 8}

    on_loop(test())


def test_the_gateway_itself_is_never_reached(tmp_path: Path) -> None:
    async def test() -> None:
        async with far_end(tmp_path) as (home, _):
            for host in ("127.0.0.1", "127.0.0.2", "localhost"):
                assert (await home.ask(connect(home.port, host))).startswith(b"HTTP/1.1 403 "), host
            assert home.gateway.figures()["accepted"] == 3

    on_loop(test())


def test_what_is_of_this_machine() -> None:
    assert is_of_this_machine("127.0.0.1")
    assert is_of_this_machine("127.3.2.1")
    assert not is_of_this_machine("192.0.2.1")


def test_hosts_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        limits = GatewayLimits(reach=0.05)
        async with far_end(tmp_path, limits=limits) as (home, _):
            loop, places = asyncio.get_running_loop(), {"slow.test": "127.0.0.1", "far.test": "127.0.0.1"}

            async def names(host: str, port: int, **_: Any) -> list[Any]:
                if host not in places:
                    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (places[host], port))]

            connect_really = loop.sock_connect

            async def reach(sock: socket.socket, address: tuple[str, int]) -> None:
                if address[1] == home.port:
                    return await connect_really(sock, address)
                if address[1] == 1:
                    await asyncio.get_running_loop().create_future()
                raise OSError(errno.ENETUNREACH if address[1] == 2 else errno.ECONNREFUSED, "")

            monkeypatch.setattr(loop, "getaddrinfo", names)
            monkeypatch.setattr(loop, "sock_connect", reach)
            expected = {
                ("no.test", 80): (502, Code.HOST_UNREACHABLE, "no such host"),
                ("slow.test", 1): (504, Code.HOST_UNREACHABLE, "no answer in time"),
                ("far.test", 2): (502, Code.FAILED, "host not reached"),
                ("far.test", 3): (502, Code.REFUSED, "connection refused"),
            }
            for (host, port), (status, code, reason) in expected.items():
                answer = await home.ask(connect(port, host))
                assert answer.startswith(b"HTTP/1.1 %d " % status)
                assert answer.endswith(reason.encode() + b"\n")
                named = b"\x03" + bytes((len(host),)) + host.encode()
                socks = HELLO + b"\x05\x01\x00" + named + port.to_bytes(2)
                assert await home.ask(socks) == CHOSEN + reply(code)
                assert home.told[-2:] == [f"{reason} ({host}:{port})"] * 2
            reader, writer = await home.dial()
            writer.write(request("a.test"))
            assert (await response(reader))[0] == 200

    on_loop(test())


def test_who_closed_before_the_refusal_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with far_end(tmp_path) as (home, _):
            loop = asyncio.get_running_loop()
            told = loop.create_future()

            async def reach(*_: object) -> None:
                await told

            _, writer = await home.dial()
            monkeypatch.setattr(loop, "sock_connect", reach)
            writer.write(connect(1))
            await until(lambda: len(home.gateway.context.direct_ports) == 1)
            writer.close()
            await writer.wait_closed()
            told.set_exception(ConnectionRefusedError(errno.ECONNREFUSED, ""))
            await until(lambda: home.gateway.live == 0)  # the answer is met by a reset, and shutdown(2) by ENOTCONN
            assert home.told == ["connection refused (127.0.0.1:1)"]

    on_loop(test())


def test_an_address_never_waits_for_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with far_end(tmp_path) as (home, port):
            loop = asyncio.get_running_loop()

            async def names(*_: object, **__: object) -> None:
                await loop.create_future()

            _, writer = await home.dial()
            monkeypatch.setattr(loop, "getaddrinfo", names)
            writer.write(connect(80, "slow.test"))
            await until(lambda: home.gateway.context.table._of_client["127.0.0.1"] == 1)
            passing = DirectAccess(HERE)
            assert await passing.places(("127.0.0.1", port)) == [("127.0.0.1", port)]
            assert await passing.places(("::1", port)) == [("::1", port)]

    on_loop(test())


def test_a_name_with_several_addresses_is_tried_at_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with far_end(tmp_path) as (home, port):
            loop, asked = asyncio.get_running_loop(), ["127.0.0.9", "10.0.0.1", "127.0.0.1"]

            async def names(_: str, port: int, **__: Any) -> list[Any]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in asked]

            monkeypatch.setattr(loop, "getaddrinfo", names)
            passing = DirectAccess(HERE)
            assert await passing.places(("many.test", port)) == [("127.0.0.9", port), ("127.0.0.1", port)]
            assert (await home.ask(connect(port, "many.test") + b"word")).endswith(b"\r\n\r\nword")
            assert home.told == []
            del asked[2]
            assert (await home.ask(connect(port, "many.test"))).endswith(b"connection refused\n")

    on_loop(test())


@asynccontextmanager
async def unreached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: GatewayLimits = DEFAULT_LIMITS
) -> AsyncIterator[tuple[ProxyHouse, asyncio.StreamWriter]]:
    """A user whose host is being dialed, and does not answer; in the end nothing of it is left."""
    async with far_end(tmp_path, limits=limits) as (home, port):
        loop = asyncio.get_running_loop()

        async def reach(*_: object) -> None:
            await loop.create_future()

        _, writer = await home.dial()
        with monkeypatch.context() as patch:
            patch.setattr(loop, "sock_connect", reach)
            writer.write(connect(port) + b"word")
            await until(lambda: len(home.gateway.context.direct_ports) == 1)
            yield home, writer
            await until(lambda: home.gateway.live == 0 and not home.gateway.context.direct_ports)


def test_who_goes_before_the_far_end_is_reached_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with unreached(tmp_path, monkeypatch) as (home, writer):
            writer.transport.abort()
            [member] = home.gateway.context.table
            member.stop("gateway ends")

    on_loop(test())


def test_who_goes_while_its_host_is_dialed_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with unreached(tmp_path, monkeypatch, GatewayLimits(look_every=1e6, reach=1e6)) as (home, writer):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        assert home.gateway.figures()["reset"] == 1

    on_loop(test())
