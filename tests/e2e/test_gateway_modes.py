"""The gateway's modes as users run them: proxies for curl, and connections that a firewall redirects."""

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.namespaces import Machines, ip, machines, nft
from tests.support.processes import PATIENCE_SECONDS, ROOT, Fleet, ListeningProgram, received
from tests.support.replica_program import PUBLIC, tape, tape_digest
from tests.support.system import require
from trickles.drivers.addresses import shown
from trickles.drivers.keystore import server_key_text
from trickles.wire.kinds import Address

pytestmark = pytest.mark.e2e

TAPE_BYTES = 40_000_000
ANY = "127.0.0.1:0"


def listed(addresses: Sequence[Address]) -> str:
    """Replicas as --map takes them."""
    return ",".join(map(shown, addresses))


def tunnel(place: Address, opening: bytes, answer: bytes) -> socket.socket:
    """A connection through a proxy that has answered."""
    program = socket.create_connection(place, PATIENCE_SECONDS)
    program.sendall(opening)
    assert exactly(program, len(answer)) == answer
    return program


def exactly(program: socket.socket, size_bytes: int) -> bytes:
    """So many bytes, or fewer when the other side closes before."""
    data = bytearray()
    while len(data) < size_bytes and (part := program.recv(size_bytes - len(data))):
        data += part
    return bytes(data)


def by_connect(place: Address, host: str) -> socket.socket:
    """By HTTP."""
    opening = f"CONNECT {host}:99 HTTP/1.1\r\nHost: {host}:99\r\n\r\n".encode()
    return tunnel(place, opening, b"HTTP/1.1 200 Connection established\r\n\r\n")


def by_socks(place: Address, host: str) -> socket.socket:
    """By SOCKS."""
    opening = b"\x05\x01\x00\x05\x01\x00\x03" + bytes((len(host),)) + host.encode() + b"\x00\x63"
    return tunnel(place, opening, b"\x05\x00\x05\x00\x00\x01" + bytes(6))


def read_tape(program: socket.socket, size_bytes: int) -> bytes:
    """So much of it."""
    program.sendall(b"get %d\n" % size_bytes)
    return exactly(program, size_bytes)


@pytest.mark.parametrize("dial", [by_connect, by_socks])
def test_tunnels_do_not_notice_replicas_that_die(key: Path, dial: object) -> None:
    assert callable(dial)
    with Fleet(3) as fleet:
        words = ("--listen", f"proxy@{ANY}", "--map", f"tape.test={listed(fleet.addresses)}", "--server-key", key)
        with ListeningProgram(*words) as gateway:
            with dial(gateway.addresses[0], "Tape.test.") as program:
                for victim in range(2):
                    program.sendall(b"get %d\n" % TAPE_BYTES)
                    head = exactly(program, 1_000_000)
                    fleet.kill(victim)
                    rest = exactly(program, TAPE_BYTES - len(head))
                    assert head + rest == tape(0, TAPE_BYTES)
            assert gateway.terminate() == 0
            assert gateway.errors.rest() == ""


def test_several_listeners_lead_to_several_fleets(key: Path, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    other = tmp_path / "other.pub"
    with Fleet(1) as fleet, Fleet(1, "--fleet", "strangers") as strangers:
        hosts.write_text("# none yet\n")
        words = ("--listen", ANY, "--listen", f"proxy@{ANY}", "--replica", listed(fleet.addresses), "--map-file", hosts)
        with ListeningProgram(*words, "--server-key", key) as gateway:
            forward, proxy = gateway.addresses
            assert gateway.first_line == f"gateway on {shown(forward)}, proxy@{shown(proxy)} for 1 replicas"
            with socket.create_connection(forward, PATIENCE_SECONDS) as program:
                assert read_tape(program, 1000) == tape(0, 1000)
            assert asked(proxy, "tape.test").startswith(b"HTTP/1.1 403 Forbidden\r\n")
            assert gateway.errors.next().endswith(": host not allowed (tape.test:99)")
            hosts.write_text("nonsense\n")
            assert "the map is unchanged: not HOST=REPLICA" in gateway.errors.next()
            other.write_text(server_key_text(PUBLIC) + "\n")  # which is not the strangers'
            hosts.write_text(
                f"tape.test={listed(fleet.addresses)}\n*.strange.test={listed(strangers.addresses)};key={other}\n"
            )
            until_mapped(proxy)
            with by_connect(proxy, "tape.test") as program:
                assert read_tape(program, 1000) == tape(0, 1000)
            assert asked(proxy, "a.strange.test").startswith(b"HTTP/1.1 502 Bad Gateway\r\n")


def asked(proxy: Address, host: str) -> bytes:
    """All that comes back for a tunnel there in which nothing is said."""
    with socket.create_connection(proxy, PATIENCE_SECONDS) as program:
        program.sendall(b"CONNECT %s:99 HTTP/1.1\r\n\r\n" % host.encode())
        program.shutdown(socket.SHUT_WR)
        return received(program)


def until_mapped(proxy: Address) -> None:
    """Until a host is known; the gateway looks at its files every second."""
    for _ in range(20_000):
        if asked(proxy, "tape.test").startswith(b"HTTP/1.1 200 "):
            return
    raise AssertionError("it was never mapped")


@pytest.fixture
def network() -> Iterator[Machines]:
    require("nft")
    with machines() as made:
        yield made


def fetch(machine: str, place: Address, kill: object) -> str:
    """The digest that a program on that machine gets from there; what is to be done in mid-transfer is done then."""
    assert callable(kill)
    words = [require("ip"), "netns", "exec", machine, "python3", "-m", "tests.support.tape_by_tcp"]
    with subprocess.Popen(
        [*words, place[0], str(place[1]), str(TAPE_BYTES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        kill()
        output, _ = program.communicate("\n", PATIENCE_SECONDS)
        return output.strip()


REDIRECT = """
table %s trickles {
  chain output {
    type nat hook output priority -100
    %s daddr %s tcp dport 99 redirect to :%d
  }
}
"""


@pytest.mark.parametrize(
    ("family", "here", "elsewhere", "gate"),
    [("ip", "127.0.0.1", "10.9.77.%d", "10.9.1.2"), ("ip6", "::1", "fd09:77::%d", "fd09:1::2")],
)
def test_redirected_connections_reach_the_fleet_of_their_destination(
    key: Path, network: Machines, family: str, here: str, elsewhere: str, gate: str
) -> None:
    network.cable("client", "server", 1, mtu=1500)
    client, known, unknown = network.name("client"), (elsewhere % 1, 99), (elsewhere % 2, 99)
    ip("-n", client, "-6" if family == "ip6" else "-4", "route", "add", "default", "via", gate)
    with Fleet(2, host="10.9.1.2", namespace=network.name("server")) as fleet:
        mapped = ("--map", f"{shown(known)}={listed(fleet.addresses)}")
        words = ("--listen", f"transparent@{shown((here, 0))}", *mapped, "--server-key", key)
        with ListeningProgram(*words, namespace=client) as gateway:
            where = "{" + f"{known[0]}, {unknown[0]}" + "}"
            nft(client, REDIRECT % (family, family, where, gateway.addresses[0][1]))
            assert fetch(client, known, lambda: fleet.kill(0)) == tape_digest(TAPE_BYTES)
            with pytest.raises(AssertionError):
                fetch(client, unknown, lambda: None)
            assert gateway.errors.next().endswith(f": host not allowed ({shown(unknown)})")


TPROXY = """
table ip trickles {
  chain prerouting {
    type filter hook prerouting priority -150
    ip daddr 10.9.77.0/24 tcp dport 99 tproxy to 127.0.0.1:%d meta mark set 1 accept
  }
}
"""


def test_connections_taken_by_tproxy_on_a_router_reach_the_one_fleet(key: Path, network: Machines) -> None:
    network.cable("client", "router", 1, mtu=1500)
    network.cable("router", "server", 2, mtu=1500)
    client, router = network.name("client"), network.name("router")
    ip("-n", client, "route", "add", "default", "via", "10.9.1.2")
    for name in ("net.ipv4.ip_forward", "net.ipv4.conf.all.route_localnet"):
        network.set("router", name, 1)
    ip("-n", router, "rule", "add", "fwmark", 1, "lookup", 100)
    ip("-n", router, "route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", 100)
    with Fleet(2, host="10.9.2.2", namespace=network.name("server")) as fleet:
        replicas = [word for address in fleet.addresses for word in ("--replica", shown(address))]
        words = ("--mode", "transparent", "--listen", ANY, *replicas, "--server-key", key)
        with ListeningProgram(*words, namespace=router) as gateway:
            nft(router, TPROXY % gateway.addresses[0][1])
            assert fetch(client, ("10.9.77.1", 99), lambda: fleet.kill(0)) == tape_digest(TAPE_BYTES)
