"""The proxy's port: HTTP in absolute form, CONNECT and SOCKS to several fleets, and whatever else is said there."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.loop import on_loop, until
from tests.support.loopfleet import IMPATIENT
from tests.support.proxyhouse import LARGE, proxy_house, request, response
from trickles.gateway import GatewayLimits
from trickles.gateway.accesslog import ConnectionRecord
from trickles.gateway.certificates import Certificates
from trickles.gateway.heads import ESTABLISHED
from trickles.gateway.socks import CHOSEN, REJECTED, Code, reply

HELLO = b"\x05\x01\x00"
DONE = reply(Code.SUCCEEDED)
DIRECT = b"GET /name HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def socks_request(host: str, port: int = 80) -> bytes:
    """A SOCKS request for a name."""
    return b"\x05\x01\x00\x03" + bytes((len(host),)) + host.encode() + port.to_bytes(2)


def test_one_connection_reaches_one_fleet_after_another(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path) as home:
            accounts = list[ConnectionRecord]()
            home.gateway.watch(accounts.append)
            reader, writer = await home.dial()
            program = writer.get_extra_info("sockname")[1]
            for host in ("a.test", "A.test:8080", "b.test", "a.test"):
                for path, body in (("/name", host.lower().removesuffix(":8080").encode()), ("/large", LARGE)):
                    writer.write(request(host, path))
                    assert await response(reader) == (200, body)
            writer.write(b"CONNECT b.test:80 HTTP/1.1\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            writer.write(DIRECT)
            assert (await reader.read()).endswith(b"\r\n\r\nb.test")
            writer.close()
            await until(lambda: home.gateway.live == 0)
            assert home.told == []
            assert home.gateway.figures()["accepted"] == 1
            targets = ["a.test:8080", "b.test:80", "a.test:80", "b.test:80"]  # of each stretch to one fleet, the last
            assert [account.target for account in accounts] == targets
            assert {account.client for account in accounts} == {f"127.0.0.1:{program}"}

    on_loop(test())


def test_requests_to_one_fleet_may_come_together_and_those_to_another_must_wait(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path) as home:
            reader, writer = await home.dial()
            writer.write(request("a.test") + request("a.test", "/large") + request("b.test") + request("a.test"))
            assert await response(reader) == (200, b"a.test")
            assert await response(reader) == (200, LARGE)
            assert await reader.read() == b""
            assert home.fleets["b.test"].packets_in == [0, 0]
            writer.close()

    on_loop(test())


def test_nothing_behind_a_body_is_a_request_of_its_own(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path) as home:
            for fields in ("Content-Length: 4", "Transfer-Encoding: chunked"):
                body = b"4\r\nbody\r\n0\r\n\r\n" if "chunked" in fields else b"body"
                for host in ("a.test", "b.test"):
                    answer = await home.ask(request("a.test", "/name", fields) + body + request(host), end=False)
                    assert answer.count(b"HTTP/1.1 ") == 1
                    assert answer.endswith(b"\r\n\r\na.test")
                    assert b"\r\nConnection: close\r\n" in answer
            assert home.fleets["b.test"].packets_in == [0, 0]

    on_loop(test())


def test_programs_that_say_that_they_close(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path) as home:
            answer = await home.ask(request("a.test", "/name", "Connection: close") + request("b.test"), end=False)
            assert (answer.count(b"HTTP/1.1 "), answer[-6:]) == (1, b"a.test")
            answer = await home.ask(request("a.test").replace(b"HTTP/1.1", b"HTTP/1.0"), end=False)
            assert answer.endswith(b"\r\n\r\na.test")
            assert (await home.ask(request("a.test"))).endswith(b"\r\n\r\na.test")

    on_loop(test())


def test_socks_leads_to_a_fleet_by_name(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path) as home:
            expected = CHOSEN + DONE + b"HTTP/1.1 200 OK\r\n"
            at_once = HELLO + socks_request("b.test") + DIRECT
            answer = await home.ask(at_once, end=False)
            assert answer.startswith(expected)
            assert answer.endswith(b"\r\n\r\nb.test")
            reader, writer = await home.dial()
            for byte in at_once:  # the same, byte by byte
                writer.write(bytes((byte,)))
                await asyncio.sleep(0)
            assert (await reader.read()).startswith(expected)

    on_loop(test())


@pytest.mark.parametrize("opening", [b"CONNECT b.test:443 HTTP/1.1\r\n\r\n", HELLO + socks_request("b.test", 443)])
def test_tls_to_a_fleet_ends_at_the_proxy_if_it_has_certificates(tmp_path: Path, opening: bytes) -> None:
    async def test() -> None:
        authority = Authority(tmp_path)
        pair, context = authority.issue(), ssl.create_default_context(cafile=str(authority.file))
        async with proxy_house(tmp_path) as home:
            home.router.certificates = Certificates(pair.certificate, pair.key, report=home.told.append)
            accounts = list[ConnectionRecord]()
            home.gateway.watch(accounts.append)
            reader, writer = await home.dial()
            writer.write(opening)
            welcome = ESTABLISHED if opening.startswith(b"CONNECT") else CHOSEN + DONE
            assert await reader.readexactly(len(welcome)) == welcome
            await writer.start_tls(context, server_hostname="localhost")
            writer.write(DIRECT)
            assert (await reader.read()).endswith(b"\r\n\r\nb.test")
            writer.close()
            await until(lambda: home.gateway.live == 0)
            figures = home.gateway.figures()
            assert (home.told, figures["accepted"], figures["completed"]) == ([], 1, 1)
            await home.ask(opening + b"this is no TLS", end=False)
            assert home.told == ["TLS handshake: wrong version number"]
            assert [account.target for account in accounts] == ["b.test:443"]
            plain = await home.ask(opening.replace(b"443", b"80").replace(b"\x01\xbb", b"\x00\x50") + DIRECT, end=False)
            assert plain.endswith(b"\r\n\r\nb.test")

    on_loop(test())


def test_other_hosts_are_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path) as home:
            assert (await home.ask(request("c.test"))).startswith(b"HTTP/1.1 403 Forbidden\r\n")
            assert (await home.ask(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
            assert await home.ask(HELLO + socks_request("c.test")) == CHOSEN + reply(Code.NOT_ALLOWED)
            reader, writer = await home.dial()
            writer.write(request("a.test"))
            assert await response(reader) == (200, b"a.test")
            writer.write(request("c.test"))
            assert (await response(reader))[0] == 403
            hosts = ("c.test:80", "127.0.0.1:1", "c.test:80", "c.test:80")
            assert home.told == [f"host not allowed ({host})" for host in hosts]
            assert home.gateway.figures()["reasons"] == {"host not allowed": 4}

    on_loop(test())


def test_what_is_neither_http_nor_socks_is_answered_and_closed(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path) as home:
            for garbage in (b"\x16\x03\x01\x02\x00\x01", b"\0" * 100, b"\xff", b"GET / HTTP/1.1\r\n\r\n", b"{}\r\n"):
                assert (await home.ask(garbage, end=False)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert await home.ask(b"\x05\x01\x02", end=False) == REJECTED
            assert await home.ask(HELLO + b"\x04\x01\x00\x01", end=False) == CHOSEN + reply(Code.FAILED)
            bind = HELLO + b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50"
            assert await home.ask(bind, end=False) == CHOSEN + reply(Code.COMMAND_UNKNOWN)
            assert home.gateway.figures()["reasons"] == {"bad request to the proxy": 8}
            assert "bad request to the proxy (SOCKS with authentication only)" in home.told
            assert (await home.ask(request("a.test"))).endswith(b"a.test")

    on_loop(test())


@pytest.mark.parametrize("end", [True, False], ids=["half-closed", "gone"])
def test_openings_cut_at_every_byte(tmp_path: Path, end: bool) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path) as home:
            for whole in (request("a.test"), b"CONNECT a.test:80 HTTP/1.1\r\n\r\n", HELLO + socks_request("a.test")):
                for size in range(len(whole)):
                    if end:
                        answer = await home.ask(whole[:size])
                        assert answer in (b"", CHOSEN) or answer.startswith(b"HTTP/1.1 400 ")
                    else:
                        _, writer = await home.dial()
                        writer.write(whole[:size])
                        writer.close()
            await until(lambda: home.gateway.live == 0)
            assert (await home.ask(request("a.test"))).endswith(b"a.test")

    on_loop(test())


@pytest.mark.slow
def test_a_fleet_that_is_down_is_told_of_and_reached_when_it_returns(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path, client=IMPATIENT) as home:
            fleet = home.fleets["a.test"]
            reader, writer = await home.dial()
            writer.write(request("a.test"))
            assert await response(reader) == (200, b"a.test")
            for index in range(2):
                fleet.kill(index)
            late, http, tunnel, socks = await asyncio.gather(
                home.ask(request("b.test", "/large")),
                home.ask(request("a.test"), end=False),
                home.ask(b"CONNECT a.test:80 HTTP/1.1\r\n\r\n", end=False),
                home.ask(HELLO + socks_request("a.test"), end=False),
            )
            assert late.endswith(LARGE)
            assert http.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
            assert http.endswith(b"no answer to the handshake\n")
            assert tunnel == http
            assert socks == CHOSEN + reply(Code.HOST_UNREACHABLE)
            writer.write(request("a.test"))
            assert (await response(reader))[0] == 504
            fleet.restart(0)
            assert (await home.ask(request("a.test"))).endswith(b"a.test")

    on_loop(test())


@pytest.mark.slow
def test_a_fleet_that_dies_in_mid_answer_resets_the_program(tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy_house(tmp_path, client=IMPATIENT) as home:
            reader, writer = await home.dial()
            sock = writer.get_extra_info("socket")
            sock.setsockopt(1, 8, 1 << 14)  # SO_RCVBUF: the answer does not fit what waits on the way
            writer.write(request("a.test", "/large") * 20)
            await reader.readexactly(1000)
            for index in range(2):
                home.fleets["a.test"].kill(index)
            with pytest.raises(ConnectionResetError):
                await reader.read()

    on_loop(test())


def test_who_does_not_say_where_to_is_told_so_in_time(tmp_path: Path) -> None:
    async def test() -> None:
        limits = GatewayLimits(request_timeout=0.01, idle_timeout=0.1, sweep_every=0.001)
        async with proxy_house(tmp_path, limits=limits) as home:
            assert (await home.ask(b"GET http", end=False)).startswith(b"HTTP/1.1 408 ")
            assert await home.ask(HELLO, end=False) == CHOSEN
            assert await home.ask(HELLO[:1], end=False) == b""
            assert home.told == ["request not complete in time"] * 3
            assert await home.ask(b"", end=False) == b""  # which is no failure, but idle
            assert home.gateway.figures()["failed"] == 3

    on_loop(test())
