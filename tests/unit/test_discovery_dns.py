"""SRV records: what an answer says, what hostile ones can do (nothing), and how servers are asked."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.loop import on_loop
from tests.support.nameserver import TRUNCATED, address, alias, name_server, reply, srv
from trickles.drivers.discovery.dns import DnsServers, system_servers
from trickles.drivers.discovery.message import DnsAnswer, SrvRecord, parse_untrusted, question
from trickles.errors import BadPacket, DiscoveryError

NAME = "_trickles._udp.fleet.test"
QUERY = question(7, NAME)


def test_services_and_their_addresses_are_read() -> None:
    records = [srv(NAME, "A.test", 8443, 1, 5), srv(NAME.upper(), "b.test", 1), address("a.test", "192.0.2.1")]
    records += [address("a.test", "2001:db8::1")]
    answer = parse_untrusted(reply(QUERY, records, additional=2), 7, NAME + ".")
    assert answer.services == [SrvRecord(1, 5, 8443, "a.test"), SrvRecord(0, 0, 1, "b.test")]
    assert answer.addresses == {"a.test": ["192.0.2.1", "2001:db8::1"]}


def test_an_alias_is_followed_and_records_of_other_names_do_not_count() -> None:
    records = [srv("other.test", "evil.test", 1), alias(NAME, "real.test"), srv("real.test", "a.test", 2)]
    assert parse_untrusted(reply(QUERY, records), 7, NAME).services == [SrvRecord(0, 0, 2, "a.test")]


def test_a_compressed_name_is_read_and_one_without_end_is_not() -> None:
    pointer = b"\xc0\x0c"
    plain = reply(QUERY, [])
    record = pointer + bytes.fromhex("0021 0001 00000000 0008 0001 0002 0003") + pointer
    message = plain[:6] + b"\0\1" + plain[8:] + record
    assert parse_untrusted(message, 7, NAME).services == [SrvRecord(1, 2, 3, NAME)]
    here = len(plain)
    endless = plain[:6] + b"\0\1" + plain[8:] + bytes([0xC0 | here >> 8, here & 0xFF]) + record[2:]
    with pytest.raises(BadPacket, match="without end"):
        parse_untrusted(endless, 7, NAME)


@pytest.mark.parametrize("code", [2, 3, 5, 9])
def test_what_the_server_says_instead_is_told(code: int) -> None:
    assert parse_untrusted(reply(QUERY, [], flags=0x8180 | code), 7, NAME).problem is not None


def test_answers_to_other_questions_are_refused() -> None:
    answer = reply(QUERY, [srv(NAME, "a.test", 1)])
    for other in (reply(question(8, NAME), []), reply(question(7, "x.test"), []), QUERY, b"", answer[:-1]):
        with pytest.raises(BadPacket):
            parse_untrusted(other, 7, NAME)


@given(st.binary(max_size=200), st.integers(0, 100))
def test_nothing_but_bad_packet_leaves_the_parser(junk: bytes, kept: int) -> None:
    answer = reply(QUERY, [srv(NAME, "a.test", 1), address("a.test", "192.0.2.1")])
    with suppress(BadPacket):
        assert isinstance(parse_untrusted(answer[:kept] + junk, 7, NAME), DnsAnswer)


@pytest.mark.parametrize("text", ["", ".", "a..b", "x" * 64, ".".join(["abc"] * 70), "ü.test"])
def test_what_is_no_name_is_not_asked_for(text: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        question(1, text)


def test_a_server_is_asked_and_strays_are_passed_over() -> None:
    async def test() -> None:
        async with name_server() as server:
            server.records = [srv(NAME, "a.test", 1)]
            server.strays = [b"", b"junk", reply(QUERY, [srv(NAME, "evil.test", 1)])]
            servers = DnsServers([("127.0.0.1", 1), server.place], try_seconds=10)  # nobody is at the first
            assert (await servers.services(NAME)).services == [SrvRecord(0, 0, 1, "a.test")]
            assert server.asked == 1

    on_loop(test())


def test_a_truncated_answer_is_asked_for_by_tcp() -> None:
    async def test() -> None:
        async with name_server() as server:
            server.records = [srv(NAME, f"host{number}.test", number) for number in range(200)]
            server.flags = TRUNCATED
            assert len((await DnsServers([server.place]).services(NAME)).services) == 200

    on_loop(test())


def test_failures_are_one_line() -> None:
    async def test() -> None:
        async with name_server() as server:
            server.flags = 0x8183
            with pytest.raises(DiscoveryError, match=f"{NAME}: there is no such name"):
                await DnsServers([server.place]).services(NAME)
            with pytest.raises(DiscoveryError, match="not a name"):
                await DnsServers([server.place]).services("a..b")
        with pytest.raises(DiscoveryError, match="no name server answers"):
            await DnsServers([("127.0.0.1", 1)]).services(NAME)

    on_loop(test())


def test_the_systems_servers_are_those_of_resolv_conf(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# none\nnameserver 192.0.2.53\nnameserver junk\nsearch test\nnameserver ::1\nnameserver\n")
    assert system_servers(path) == [("192.0.2.53", 53), ("::1", 53)]
    assert system_servers(tmp_path / "absent") == [("127.0.0.1", 53)]
