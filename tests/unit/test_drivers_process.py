"""A replica in one call: it answers, notices new keys, logs what its service raises, and ends when it is told to."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleetkeys import ring
from tests.support.forks import living_child
from tests.support.peer import Peer
from trickles import Event, Reply, serve
from trickles.drivers.keystore import KeyringSource, load_keyring, save_keyring
from trickles.drivers.memory import keep_freed_memory
from trickles.drivers.process import ReplicaProcess, stop_signals
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import wall_us
from trickles.errors import KeyringError
from trickles.wire.kinds import Kind


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        yield made


class Telling:
    """Greets the first client, says something, and has the process told to end."""

    def __init__(self, failing: bool = False) -> None:
        self.failing = failing
        self.events: list[Event] = []

    def handle(self, event: Event) -> Reply:
        self.events.append(event)
        os.kill(os.getpid(), signal.SIGTERM)
        if self.failing:
            raise ZeroDivisionError("as it was told")
        return Reply(((0, b"hello"),), None, 5)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def visit(client: socket.socket, service: Telling, directory: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """One hello, sent as soon as the port is bound; what came back once the replica has ended."""
    save_keyring(ring(), directory / "ring")
    keyring, bind = load_keyring(directory / "ring"), BatchSocket.bind

    def bound(*args: object, **options: object) -> BatchSocket:
        made: BatchSocket = bind(*args, **options)  # type: ignore[arg-type]
        client.sendto(Peer("visitor").hello(keyring.newest(wall_us()), b"GET\n", wanted=3600), made.address)
        return made

    monkeypatch.setattr(BatchSocket, "bind", bound)
    serve(service, "127.0.0.1", free_port(), keyring=directory / "ring", spool=directory / "spool")
    answer, _ = client.recvfrom(65_536)
    return answer


def test_it_answers_until_it_is_told_to_end(
    client: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, before = Telling(), signal.getsignal(signal.SIGTERM)
    assert visit(client, service, tmp_path, monkeypatch)[0] == Kind.RESPONSE
    assert [event.input for event in service.events] == [b"GET\n"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_a_service_raises_is_logged_and_refuses_one_client(
    client: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "trickles.service"):
        assert visit(client, Telling(failing=True), tmp_path, monkeypatch)[0] == Kind.REFUSAL
    assert "as it was told" in caplog.text


def test_keys_that_are_missing_or_open_to_others_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRICKLES_KEYRING", raising=False)
    with pytest.raises(KeyringError, match="trickles keys init"):
        serve(Telling(), "127.0.0.1", 0)
    save_keyring(ring(), tmp_path / "ring")
    (tmp_path / "ring").chmod(0o644)
    with pytest.raises(KeyringError, match="chmod"):
        serve(Telling(), "127.0.0.1", 0, keyring=tmp_path / "ring")


def test_an_address_in_use_is_an_error(client: socket.socket, tmp_path: Path) -> None:
    save_keyring(ring(), tmp_path / "ring")
    with pytest.raises(OSError, match="in use"):
        serve(Telling(), *client.getsockname(), keyring=tmp_path / "ring")


def test_a_rotation_is_noticed(tmp_path: Path) -> None:
    save_keyring(ring(1), tmp_path / "ring")
    with BatchSocket.bind("127.0.0.1", 0) as sock:
        process = ReplicaProcess(Telling(), KeyringSource(tmp_path / "ring"), sock)
        process.jobs.tick()
        assert process.listener.keyring == ring(1)
        save_keyring(ring(1, 2), tmp_path / "ring")
        process.jobs.hurry()
        process.jobs.tick()
        assert process.listener.keyring == ring(1, 2)


def test_on_a_loop_it_answers_until_it_is_told_to_end(client: socket.socket, tmp_path: Path) -> None:
    save_keyring(ring(), tmp_path / "ring")
    keys, done, service = KeyringSource(tmp_path / "ring"), list[str](), Telling()

    async def served(sock: BatchSocket, stop: socket.socket) -> None:
        process = ReplicaProcess(service, keys, sock, blocking=False)
        process.jobs.every(0, "noting", lambda: done.append("job"))

        def ready() -> None:
            done.append("ready")
            client.sendto(Peer("visitor").hello(keys.keyring.newest(wall_us()), b"GET\n", wanted=3600), sock.address)

        await process.serve(stop, ready=ready, every=0.01)
        assert not asyncio.get_running_loop().remove_reader(sock.fileno()), "the socket is still read"

    before = signal.getsignal(signal.SIGTERM)
    with stop_signals() as stop, BatchSocket.bind("127.0.0.1", 0) as sock:
        asyncio.run(served(sock, stop))
    assert signal.getsignal(signal.SIGTERM) == before
    assert done[:2] == ["job", "ready"]
    assert [event.input for event in service.events] == [b"GET\n"]
    assert client.recvfrom(65_536)[0][0] == Kind.RESPONSE


@pytest.mark.parametrize("signals", [1, 2])
def test_on_a_loop_it_serves_on_while_it_drains_until_the_next_signal(tmp_path: Path, signals: int) -> None:
    save_keyring(ring(), tmp_path / "ring")
    keys, done = KeyringSource(tmp_path / "ring"), list[str]()

    async def served(sock: BatchSocket, stop: socket.socket) -> None:
        process = ReplicaProcess(Telling(), keys, sock, blocking=False)
        over = asyncio.Event()

        async def drain() -> None:
            done.append("drain")
            loop = asyncio.get_running_loop()
            loop.call_soon(over.set) if signals == 1 else os.kill(os.getpid(), signal.SIGINT)
            await over.wait()
            assert asyncio.get_running_loop().remove_reader(sock.fileno()), "the socket is no longer read"
            done.append("drained")

        await process.serve(stop, ready=lambda: os.kill(os.getpid(), signal.SIGTERM), every=0.01, drain=drain)

    with stop_signals() as stop, BatchSocket.bind("127.0.0.1", 0) as sock:
        asyncio.run(served(sock, stop))
    assert done == ["drain", "drained"][: 3 - signals]


def test_signals_to_a_forked_child_end_the_child_alone() -> None:
    with stop_signals() as stop:
        stop.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT):
            with living_child() as child:
                os.kill(child, number)
                found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
                assert found is not None
                assert (found.si_code, found.si_status) == (os.CLD_KILLED, number)
        with pytest.raises(BlockingIOError):
            stop.recv(1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_the_c_library_takes_the_settings_of_memory() -> None:
    assert keep_freed_memory()
