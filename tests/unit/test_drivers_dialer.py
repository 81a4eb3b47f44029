"""What connections to one fleet learn from each other: who answers, under which certificate, through which socket."""

import socket
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleetkeys import WALL, epoch, ring
from tests.support.loop import on_loop, until
from tests.support.loopfleet import IMPATIENT, LoopFleet, config
from tests.support.replica_program import tape
from trickles import ClientConfig, Dialer, Keyring, Stream, connect
from trickles.drivers.addresses import shown
from trickles.drivers.dialer import SIZE_PROOF_LIFE, is_numeric, parse_address, resolve
from trickles.drivers.health import FIRST_REST, LONGEST_REST, Health
from trickles.drivers.ports import Port, Ports
from trickles.drivers.world import monotonic_us
from trickles.errors import ConnectionFailed
from trickles.handshake import DAY
from trickles.wire.kinds import Address, Suite

THREE = [("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.3", 1)]


# health


def test_replicas_take_turns() -> None:
    health = Health(THREE, first=1)
    assert [health.pick(0) for _ in range(7)] == [1, 2, 0, 1, 2, 0, 1]


def test_a_silent_replica_rests_longer_each_time_and_until_it_answers() -> None:
    health, now, rests = Health(THREE), 0, []
    for _ in range(8):
        health.silent(THREE[1], now)
        health.silent(THREE[1], now + 1)  # what others say meanwhile is no news
        start = now
        while 1 not in {health.pick(now) for _ in range(3)}:
            now += FIRST_REST // 2
        rests.append(now - start)
    assert rests == [min(FIRST_REST << number, LONGEST_REST) for number in range(8)]
    health.answered(THREE[1])
    health.silent(THREE[1], now)
    assert {health.pick(now + FIRST_REST - 1) for _ in range(3)} == {0, 2}
    assert {health.pick(now + FIRST_REST) for _ in range(3)} == {0, 1, 2}


def test_when_all_rest_the_one_whose_rest_ends_first_is_tried() -> None:
    health = Health(THREE)
    for when, replica in enumerate([THREE[2], THREE[0], THREE[1]]):
        health.silent(replica, when)
    assert [health.pick(10), health.pick(10)] == [2, 2]


def test_health_of_those_that_stay_on_the_list_is_kept() -> None:
    health = Health(THREE)
    for replica in THREE[:2]:
        health.silent(replica, 0)
    health.replace([THREE[2], THREE[1]])
    assert {health.pick(1) for _ in range(4)} == {0}
    health.replace(THREE)
    assert {health.pick(1) for _ in range(4)} == {0, 2}


def test_a_single_replica_is_picked_whatever_was_said() -> None:
    health = Health(THREE[:1])
    health.silent(THREE[0], 0)
    assert health.pick(1) == 0


# connections


async def asked(dialer: Dialer, size_bytes: int = 10) -> Stream:
    """A closed stream that had an answer of so many bytes."""
    stream = await connect([], dialer=dialer)
    stream.write(b"get %d\n" % size_bytes)
    stream.write_eof()
    assert await stream.read() == tape(0, size_bytes)
    stream.close()
    return stream


def hellos(stream: Stream) -> int:
    """How many datagrams the handshake took: one more when the certificate had to be asked for."""
    return int(stream.statistics()["hellos"])


def test_connections_begin_with_each_replica_in_turn_but_not_with_a_dead_one() -> None:
    async def test() -> None:
        with LoopFleet(3) as fleet:
            dialer = Dialer(fleet.addresses, config())
            homes = [(await asked(dialer)).statistics()["replica"] for _ in range(6)]
            assert homes == 2 * [shown(address) for address in fleet.addresses]
            fleet.kill(1)
            later = [(await asked(dialer)).statistics() for _ in range(6)]
            assert {each["replica"] for each in later} == {shown(fleet.addresses[0]), shown(fleet.addresses[2])}
            assert dialer._health.pick(0) != 1

    on_loop(test())


def test_connections_that_begin_alike_go_on_elsewhere_in_turn() -> None:
    async def test() -> None:
        with LoopFleet(3) as fleet:
            dialer = Dialer(fleet.addresses, config())
            streams = [await connect([], dialer=dialer) for _ in range(6)]
            sets = [each._connection.client._parts.fleet for each in streams]
            assert len({(each.home, each.other(each.home, 0)) for each in sets}) == 6
            for each in streams:
                each.close()

    on_loop(test())


def test_a_transfer_moves_to_other_replicas_when_all_of_its_own_are_replaced() -> None:
    async def test() -> None:
        with LoopFleet(2) as old, LoopFleet(2) as new:
            dialer = Dialer(old.addresses, config())
            streams = [await connect([], dialer=dialer) for _ in range(2)]
            for stream in streams:
                stream.write(b"get 20000000\n")
                stream.write_eof()
                assert await stream.read(5) == tape(0, 5)
            dialer.replace(new.addresses)
            for index in range(2):
                old.kill(index)
            for stream in streams:
                assert await stream.read() == tape(5, 20_000_000)
                assert stream.statistics()["replica"] in list(map(shown, new.addresses))
            assert (await asked(dialer)).statistics()["replica"] in list(map(shown, new.addresses))
            dialer.replace([])
            assert dialer.replicas == new.addresses

    on_loop(test())


def test_members_with_ipv6_addresses_may_come_later() -> None:
    async def test() -> None:
        with LoopFleet(1) as four, LoopFleet(1, host="::1") as six:
            dialer = Dialer(four.addresses, config(), spare_sockets=1)
            await asked(dialer)
            stream = await connect([], dialer=dialer)
            stream.write(b"get 20000000\n")
            stream.write_eof()
            assert await stream.read(5) == tape(0, 5)
            dialer.replace(six.addresses)
            four.kill(0)
            assert await stream.read() == tape(5, 20_000_000)
            assert str((await asked(dialer)).statistics()["replica"]).endswith(f":{six.addresses[0][1]}")
            dialer.close()
            assert dialer.ports.open == 0

    on_loop(test())


def test_only_the_first_connection_asks_for_the_certificate_and_for_the_size_of_the_path() -> None:
    async def test() -> None:
        with LoopFleet(2) as fleet:
            dialer = Dialer(fleet.addresses, config())
            assert [hellos(await asked(dialer, 1_000_000)) for _ in range(3)] == [2, 1, 1]
            assert fleet.counted("certificates") == 1
            assert fleet.counted("pings") == 3  # one for each size

    on_loop(test())


@pytest.mark.slow
def test_a_certificate_that_has_ended_is_asked_for_anew() -> None:
    async def test() -> None:
        with LoopFleet(keyring=Keyring((epoch(1, not_before=WALL, life=DAY),))) as fleet:
            wall = [WALL]
            dialer = Dialer(fleet.addresses, config(wall=lambda: wall[0], limits=IMPATIENT))
            assert hellos(await asked(dialer)) == 2
            wall[0] += DAY + 1
            stream = await connect([], dialer=dialer)
            with pytest.raises(
                ConnectionFailed,
                match="identity: the certificate of epoch 00000001 ended 0 days ago: `trickles keys rotate`",
            ):  # the fleet has no other
                await stream.read()
            wall[0] = WALL
            assert hellos(await asked(dialer)) == 2

    on_loop(test())


@pytest.mark.slow
def test_a_certificate_whose_hellos_are_not_answered_is_doubted() -> None:
    async def test() -> None:
        with LoopFleet() as fleet:
            dialer = Dialer(fleet.addresses, config(limits=IMPATIENT))
            await asked(dialer)
            other = Keyring((epoch(1, not_before=WALL, fleet="another key under the same number"),))
            fleet.rekey(other)
            stream = await connect([], dialer=dialer)
            with pytest.raises(ConnectionFailed):
                await stream.read()
            assert hellos(await asked(dialer)) == 2

    on_loop(test())


def test_a_fleet_that_rotated_its_keys_is_greeted_under_the_new_one() -> None:
    async def test() -> None:
        with LoopFleet() as fleet:
            dialer = Dialer(fleet.addresses, config())
            await asked(dialer)
            fleet.rekey(ring(2))
            assert [hellos(await asked(dialer)) for _ in range(2)] == [2, 1]

    on_loop(test())


def test_sockets_are_used_again_where_every_datagram_is_checked() -> None:
    async def sources(suite: Suite) -> list[Any]:
        with LoopFleet() as fleet:
            dialer = Dialer(fleet.addresses, config(suite=suite), spare_sockets=1)
            used = []
            for _ in range(3):
                stream = await connect([], dialer=dialer)
                stream.write(b"get 1\n")
                await stream.read(1)
                assert stream._connection._port is not None
                used.append(stream._connection._port)
                stream.close()
            assert dialer.ports.open == (1 if suite is Suite.SEALED else 0)
            dialer.close()
            assert dialer.ports.open == 0
            return used

    async def test() -> None:
        assert len(set(await sources(Suite.SEALED))) == 1
        assert len(set(await sources(Suite.OPEN))) == 3

    on_loop(test())


def test_over_ipv6_probes_leave_room_for_its_longer_header() -> None:
    async def test() -> None:
        with LoopFleet(host="::1") as fleet:
            dialer = Dialer(fleet.addresses, config(probe_sizes=(1_472, 8_972)))
            stream = await asked(dialer, 1_000_000)
            assert stream.statistics()["datagram_bytes"] == 8_952
            assert dialer.ports._family == socket.AF_INET6

    on_loop(test())


def test_a_size_is_used_at_once_by_the_next_connection_as_long_as_replicas_believe_its_proof(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        with LoopFleet() as fleet:
            dialer = Dialer(fleet.addresses, config(probe_sizes=(8_972,)))
            first = await asked(dialer, 1_000_000)
            assert (first.statistics()["datagram_bytes"], fleet.counted("pings")) == (8_972, 1)
            again = await asked(dialer, 5_000)
            assert (again.statistics()["datagram_bytes"], fleet.counted("pings")) == (8_972, 1)
            later = monotonic_us() + SIZE_PROOF_LIFE
            monkeypatch.setattr("trickles.drivers.dialer.monotonic_us", lambda: later)
            await asked(dialer, 1_000_000)
            assert (dialer.config.datagram_bytes, fleet.counted("pings")) == (8_972, 2)
            assert dialer.config.size_proof

    on_loop(test())


# sockets that wait


@dataclass(slots=True)
class Listening:
    """Holds a port and notes what comes."""

    heard: list[Any] = field(default_factory=list)

    def arrived(self, received: list[Any], unreachable: list[Address]) -> None:
        """Note it."""
        self.heard += received or unreachable


def test_a_port_hears_for_its_holder_alone_and_drops_what_comes_while_it_waits() -> None:
    async def test() -> None:
        ports, first, second = Ports(spare=1), Listening(), Listening()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))

            def send(port: Port, data: bytes) -> None:
                sender.sendto(data, ("127.0.0.1", port.socket.address[1]))

            port = ports.take(first)
            send(port, b"one")
            await until(lambda: bool(first.heard))
            ports.give_back(port)
            send(port, b"late")
            await until(lambda: port.socket.counters.received_buffers == 2)
            assert ports.take(second) is port
            send(port, b"two")
            await until(lambda: bool(second.heard))
            assert [[bytes(data) for data, _, _ in holder.heard] for holder in (first, second)] == [[b"one"], [b"two"]]
            ports.give_back(port)
            ports.close()
            assert ports.open == 0

    on_loop(test())


def test_ports_beyond_the_spare_ones_are_closed() -> None:
    async def test() -> None:
        ports, holder = Ports(spare=2), Listening()
        taken = [ports.take(holder) for _ in range(5)]
        assert ports.open == 5
        for port in taken:
            ports.give_back(port)
        assert (ports.open, [port.socket.fileno() for port in taken[2:]]) == (2, [-1, -1, -1])
        ports.close()

    on_loop(test())


def test_a_holder_is_told_where_nobody_listens() -> None:
    async def test() -> None:
        ports, holder = Ports(), Listening()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            nobody: Address = taken.getsockname()
        port = ports.take(holder)
        port.socket.send_one(b"hello?", nobody)
        await until(lambda: bool(holder.heard))
        assert holder.heard == [nobody]
        ports.give_back(port)

    on_loop(test())


# addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [("h:1", ("h", 1)), ("[::1]:65535", ("::1", 65_535)), ("a.test:0", ("a.test", 0)), ("::1:80", ("::1", 80))],
)
def test_addresses_as_users_write_them(text: str, expected: Address) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", ":", "h", "h:", ":1", "h:65536", "h:-1", "h:+1", "h:1 ", "h:x", "[]:1", "h:²"])
def test_what_is_no_address_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not HOST:PORT"):
        parse_address(text)


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_an_address_that_is_shown_can_be_read(host: Any, port: int) -> None:
    assert parse_address(shown((str(host), port))) == (str(host), port)


@pytest.mark.parametrize("host", ["a..b", "x" * 300, "nul\0"])
def test_a_name_that_cannot_be_one_is_an_error_of_the_system(host: str) -> None:
    assert not is_numeric(host)
    with pytest.raises(OSError, match="cannot find replica"):
        resolve(host, 1)


def test_dialers_begin_at_random_replicas() -> None:
    replicas = [("127.0.0.1", port) for port in range(1, 4)]
    firsts = {Dialer(replicas, ClientConfig())._health.pick(0) for _ in range(200)}
    assert firsts == {0, 1, 2}  # it fails once in 10^34 runs
    assert {Dialer(replicas, ClientConfig(first=1))._health.pick(0) for _ in range(9)} == {1}


def test_numeric_hosts_resolve_to_themselves() -> None:
    assert [resolve(host, 5) for host in ("127.0.0.1", "::1")] == [[("127.0.0.1", 5)], [("::1", 5)]]
    assert [is_numeric(host) for host in ("127.0.0.1", "::1", "localhost")] == [True, True, False]
