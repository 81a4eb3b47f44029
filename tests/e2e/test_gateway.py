"""`trickles gateway` as users run it: programs that know only TCP, replicas that die, and every way it can fail."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.processes import PATIENCE_SECONDS, Fleet, GatewayProgram, Program, free_port, received, refuses
from tests.support.replica_program import tape, tape_digest
from trickles.drivers.addresses import shown
from trickles.wire.kinds import Address

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(2, "--spool", tmp_path_factory.mktemp("spool")) as started:
        yield started


@pytest.fixture(scope="module")
def gateway(fleet: Fleet, key: Path) -> Iterator[GatewayProgram]:
    with GatewayProgram(fleet.addresses, "--server-key", key, "--policy", "spray") as started:
        yield started
        assert started.terminate() == 0
        assert started.errors.rest() == ""


def fetched(gateway: GatewayProgram, size_bytes: int) -> str:
    """The digest of so much of the tape, fetched by a program that half-closes."""
    with gateway.dial() as program:
        program.sendall(b"get %d\n" % size_bytes)
        program.shutdown(socket.SHUT_WR)
        return sha256(received(program)).hexdigest()


def test_a_program_fetches_and_sends_every_byte(gateway: GatewayProgram) -> None:
    assert gateway.first_line == f"gateway on {shown(gateway.address)} for 2 replicas"
    assert fetched(gateway, 30_000_000) == tape_digest(30_000_000)
    with gateway.dial() as program:
        program.sendall(b"sum 5000000\n" + tape(0, 5_000_000))
        program.shutdown(socket.SHUT_WR)
        assert received(program) == tape_digest(5_000_000).encode() + b"\n"


def test_a_gateway_that_retires_ends_with_its_last_connection(fleet: Fleet, key: Path) -> None:
    with GatewayProgram(fleet.addresses, "--server-key", key) as gateway, gateway.dial() as program:
        program.sendall(b"get 30000000\n")
        program.shutdown(socket.SHUT_WR)
        first = program.recv(5, socket.MSG_WAITALL)
        for _ in range(2):
            os.kill(gateway.pid, signal.SIGUSR1)
        assert refuses(gateway.address)
        assert sha256(first + received(program)).hexdigest() == tape_digest(30_000_000)
        assert gateway.wait() == 0


def test_two_hundred_programs_at_once_are_served(gateway: GatewayProgram) -> None:
    digests: list[str] = []

    def ask(share: range) -> None:
        programs = [gateway.dial() for _ in share]
        for size_bytes, program in zip(share, programs, strict=True):
            program.sendall(b"get %d\n" % (100_000 + size_bytes))
            program.shutdown(socket.SHUT_WR)
        for program in programs:
            with program:
                digests.append(sha256(received(program)).hexdigest())

    shares = [range(start, start + 50) for start in range(0, 200, 50)]
    threads = [threading.Thread(target=ask, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(digests) == sorted(tape_digest(100_000 + size) for size in range(200))


def test_a_server_that_ends_its_answer_closes_its_half_alone(gateway: GatewayProgram) -> None:
    with gateway.dial() as program:
        program.sendall(b"bye 1000000\n")
        assert received(program) == tape(0, 1_000_000)
        program.sendall(b"more")


def test_ipv6_on_both_sides(key: Path) -> None:
    with Fleet(2, host="::1") as six, GatewayProgram(six.addresses, "--server-key", key, host="::1") as gateway:
        assert gateway.first_line == f"gateway on [::1]:{gateway.address[1]} for 2 replicas"
        assert fetched(gateway, 3_000_000) == tape_digest(3_000_000)


@pytest.mark.parametrize("policy", ["home", "stripe", "lowest-rtt"])
def test_programs_do_not_notice_replicas_that_die_and_come_back(key: Path, policy: str) -> None:
    words = ("--server-key", key, "--policy", policy)
    with Fleet(3) as fleet, GatewayProgram(fleet.addresses, *words) as gateway:
        for round_ in range(6 if policy == "home" else 3):
            with gateway.dial() as program:
                digest, size_bytes, left = sha256(), 20_000_000, 20_000_000
                program.sendall(b"get %d\n" % size_bytes)
                while left:
                    data = program.recv(min(left, 1 << 18))
                    assert data
                    if left == size_bytes:
                        fleet.kill(round_ % 3)
                    left -= len(data)
                    digest.update(data)
            assert digest.hexdigest() == tape_digest(size_bytes)
            fleet.restart(round_ % 3)


def test_what_a_program_sends_outlives_the_replicas_that_took_it(key: Path, tmp_path: Path) -> None:
    size_bytes, pieces = 5_000_000, 10
    replicas = Fleet(2, "--spool", tmp_path)
    with replicas as fleet, GatewayProgram(fleet.addresses, "--server-key", key) as gateway, gateway.dial() as program:
        program.sendall(b"sum %d\n" % size_bytes)
        for piece in range(pieces):
            program.sendall(tape(piece * size_bytes // pieces, (piece + 1) * size_bytes // pieces))
            if piece % 3 == 1:
                fleet.kill(piece % 2)
            elif piece % 3 == 2:
                fleet.restart((piece - 1) % 2)
        assert program.recv(65, socket.MSG_WAITALL) == tape_digest(size_bytes).encode() + b"\n"


def test_a_transfer_follows_a_file_of_replicas(key: Path, tmp_path: Path) -> None:
    path = tmp_path / "replicas"
    with Fleet(2) as fleet:
        path.write_text(f"# those in use\n{shown(fleet.addresses[0])}\n")
        with GatewayProgram([], "--replica-file", path, "--server-key", key) as gateway, gateway.dial() as program:
            assert gateway.first_line.endswith(" for 1 replicas")
            program.sendall(b"get 40000000\n")
            program.shutdown(socket.SHUT_WR)
            assert program.recv(5, socket.MSG_WAITALL) == tape(0, 5)
            path.write_text("nonsense\n")
            assert "(the replicas known before stay in use)" in gateway.errors.next()
            path.write_text(f"{shown(fleet.addresses[1])}\n")
            assert gateway.errors.next() == "trickles gateway: replicas are found again: 1"
            fleet.kill(0)
            assert sha256(tape(0, 5) + received(program)).hexdigest() == tape_digest(40_000_000)
            assert gateway.terminate() == 0


def test_what_only_the_gateway_knows_is_logged_and_measured(key: Path, tmp_path: Path) -> None:
    port = free_port(kind=socket.SOCK_STREAM)
    words = ("--server-key", key, "--access-log", tmp_path / "log", "--access-log-format", "json")
    with Fleet(2) as fleet, GatewayProgram(fleet.addresses, *words, "--metrics", f":{port}") as gateway:
        with gateway.dial() as program:
            program.sendall(b"get 40000000\n")
            program.shutdown(socket.SHUT_WR)
            assert program.recv(5, socket.MSG_WAITALL) == tape(0, 5)
            fleet.kill(0)
            fleet.restart(0)
            fleet.kill(1)  # one of the two served
            assert sha256(tape(0, 5) + received(program)).hexdigest() == tape_digest(40_000_000)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_SECONDS) as answer:
            page = answer.read().decode()
        assert 'trickles_gateway_bytes_total{direction="out"} 40000000\n' in page
        assert f'trickles_gateway_replica_packets_total{{replica="{shown(fleet.addresses[0])}"}} ' in page
        assert gateway.terminate() == 0
        assert (gateway.output.rest(), gateway.errors.rest()) == ("", "")
        [account] = map(json.loads, (tmp_path / "log").read_text().splitlines())
        assert (account["completion"], account["bytes_out"]) == ("complete", 40_000_000)
        assert set(account["replicas"]) == set(map(shown, fleet.addresses))


def test_replicas_are_found_by_name(key: Path) -> None:
    with Fleet(1) as fleet:
        words = ("--replica-dns", f"localhost:{fleet.addresses[0][1]}", "--server-key", key)
        with GatewayProgram([], *words) as gateway:
            assert fetched(gateway, 3_000_000) == tape_digest(3_000_000)


def test_without_replicas_programs_are_reset_with_a_reason_until_replicas_return(key: Path, tmp_path: Path) -> None:
    files = ("--pid-file", tmp_path / "pid", "--status-file", tmp_path / "status")
    words = ("--server-key", key, "--give-up", 1, *files)
    with Fleet(2) as fleet, GatewayProgram(fleet.addresses, *words) as gateway:
        assert (tmp_path / "pid").read_text() == f"{gateway.pid}\n"
        with gateway.dial() as program:
            program.sendall(b"get 2000000000\n")
            assert program.recv(5, socket.MSG_WAITALL) == tape(0, 5)
            fleet.kill(0)
            fleet.kill(1)
            with pytest.raises(ConnectionResetError):
                received(program)
            assert gateway.errors.next().endswith(f" {shown(program.getsockname())}: no replica answers")
        with pytest.raises(ConnectionResetError):
            fetched(gateway, 5)
        assert gateway.errors.next().endswith(": no answer to the handshake")
        fleet.restart(1)
        assert fetched(gateway, 5) == tape_digest(5)
        figures = json.loads((tmp_path / "status").read_text())
        assert {"accepted", "completed", "failed", "live", "reasons"} <= figures.keys()
        assert gateway.terminate() == 0
        assert not (tmp_path / "pid").exists()


def test_a_fleet_with_another_identity_is_refused_with_a_reason(key: Path) -> None:
    with Fleet(1, "--fleet", "strangers") as fleet, GatewayProgram(fleet.addresses, "--server-key", key) as gateway:
        with pytest.raises(ConnectionResetError):
            fetched(gateway, 5)
        assert "the fleet's identity is not the expected one" in gateway.errors.next()


def test_one_program_too_many_is_reset(fleet: Fleet, key: Path) -> None:
    with (
        GatewayProgram(fleet.addresses, "--server-key", key, "--max-connections", 1) as gateway,
        gateway.dial() as first,
    ):
        first.sendall(b"get 5\n")
        assert first.recv(5, socket.MSG_WAITALL) == tape(0, 5)
        with pytest.raises(ConnectionResetError):
            fetched(gateway, 5)
        assert gateway.errors.next().endswith(": too many connections")


def test_sigterm_ends_it_cleanly_and_resets_who_is_busy(fleet: Fleet, key: Path) -> None:
    with (
        GatewayProgram(fleet.addresses, "--server-key", key) as gateway,
        gateway.dial() as idle,
        gateway.dial() as busy,
    ):
        for program, request in ((idle, b"get 5\n"), (busy, b"get 2000000000\n")):
            program.sendall(request)
            assert program.recv(5, socket.MSG_WAITALL) == tape(0, 5)
        assert gateway.terminate() == 0
        assert received(idle) == b""
        with pytest.raises(ConnectionResetError):
            received(busy)
        assert gateway.errors.rest().endswith(": gateway ends\n")


def outcome(*words: object) -> tuple[int, str, str]:
    """Exit status, output and errors of a gateway that cannot start."""
    with Program("trickles", "gateway", *words) as program:
        return program.wait(), program.output.rest(), program.errors.rest()


def test_what_keeps_it_from_starting_is_one_line(key: Path) -> None:
    replica = ("--replica", "127.0.0.1:1", "--server-key", key)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output, errors = outcome("--listen", f"127.0.0.1:{port}", *replica)
        assert (status, output, errors.count("\n")) == (1, "", 1)
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in errors
    listen = ("--listen", "127.0.0.1:0")
    status, output, errors = outcome(*listen, "--replica", "a..b:1", "--server-key", key)
    assert (status, output, errors) == (1, "", "trickles gateway: cannot find replica 'a..b': not a name\n")
    status, output, errors = outcome(*listen, "--replica", "nonsense", "--server-key", key)
    assert (status, output, errors) == (1, "", "trickles gateway: not HOST:PORT: 'nonsense'\n")
    status, output, errors = outcome(*listen, "--server-key", key)
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert "no replicas: give --replica" in errors
    words = ("--replica-srv", "_t._udp.test", "--dns-server", "127.0.0.1:1", "--server-key", key)
    status, output, errors = outcome(*listen, *words)
    assert (status, output, errors) == (1, "", "trickles gateway: _t._udp.test: no name server answers\n")
    status, output, errors = outcome(*listen, *replica, "--max-connections", "0")
    assert (status, output, errors.count("\n")) == (2, "", 1)
    status, output, errors = outcome(*listen, "--replica", "127.0.0.1:1", "--server-key", key.with_name("missing"))
    assert (status, output, errors.count("\n")) == (1, "", 1)


def test_a_port_where_nobody_answers_is_told_after_the_time_to_give_up(key: Path) -> None:
    nobody: list[Address] = [("127.0.0.1", free_port())]
    with GatewayProgram(nobody, "--server-key", key, "--give-up", 1) as gateway:
        with pytest.raises(ConnectionResetError):
            fetched(gateway, 5)
        assert gateway.errors.next().endswith(": no answer to the handshake")
