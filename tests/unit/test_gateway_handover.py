"""The unix socket over which listening sockets pass to a successor, and who does not get them."""

import asyncio
import errno
import os
import shutil
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.loop import on_loop, until
from tests.support.programs import pass_time
from trickles.errors import HandoverError
from trickles.gateway import handover
from trickles.gateway.handover import READY, Control, Predecessor, asked_who_listens, until_readable


def listening() -> socket.socket:
    """A socket that listens."""
    return socket.create_server(("127.0.0.1", 0))


async def elsewhere(call: Callable[[], object]) -> object:
    """The result of what would block the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, call)


def test_sockets_pass_by_name_and_the_word_is_heard(tmp_path: Path) -> None:
    async def test() -> None:
        deep = tmp_path / ("d" * 100)  # longer than a unix socket's name may be
        deep.mkdir()
        first, second, told = listening(), listening(), list[str]()
        with first, second:
            offer = {"a:1": [first.fileno()], "b:2": [second.fileno()]}
            control = Control(deep / "control", lambda: offer, report=told.append)
            assert stat.S_IMODE((deep / "control").stat().st_mode) == 0o600
            waiting = asyncio.create_task(control.succeeded())
            found = await elsewhere(lambda: Predecessor(deep / "control"))
            assert isinstance(found, Predecessor)
            assert found.take("nowhere:3") == []
            (taken,) = found.take("a:1")
            assert taken.getsockname() == first.getsockname()
            assert not waiting.done()
            with found.relieve(bytes(range(32))) as told_on:
                heir = await waiting
                assert heir.mark == bytes(range(32))
                heir.sock.close()
                assert told_on.recv(1) == b""
            taken.close()
            control.close()
            assert not (deep / "control").exists()
            assert told == []

    on_loop(test())


def test_whoever_asks_who_listens_disturbs_nobody(tmp_path: Path) -> None:
    assert asked_who_listens(tmp_path / "control") is None

    async def test() -> None:
        told = list[str]()
        with listening() as sock:
            control = Control(tmp_path / "control", lambda: {"a:1": [sock.fileno()]}, report=told.append)
            waiting = asyncio.create_task(control.succeeded())
            for _ in range(20):
                assert asked_who_listens(tmp_path / "control") in (os.getpid(), None)  # None: many wait already
                await asyncio.sleep(0)
            found = await elsewhere(lambda: Predecessor(tmp_path / "control"))
            assert isinstance(found, Predecessor)
            for taken in found.take("a:1"):
                taken.close()
            assert not waiting.done()
            found.relieve(bytes(32)).close()
            (await waiting).sock.close()
            assert told == []
            control.close()

    on_loop(test())
    assert asked_who_listens(tmp_path / "control") is None


def test_a_successor_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        told = list[str]()
        with listening() as sock:
            control = Control(tmp_path / "control", lambda: {"a:1": [sock.fileno()]}, report=told.append)
            waiting = asyncio.create_task(control.succeeded())
            found = await elsewhere(lambda: Predecessor(tmp_path / "control"))
            assert isinstance(found, Predecessor)
            for taken in found.take("a:1"):
                taken.close()
            found._connected.close()
            await until(lambda: bool(told))
            assert told == ["a successor did not get ready: it went away"]
            assert not waiting.done()
            waiting.cancel()
            control.close()

    on_loop(test())


def test_a_control_leaves_the_path_to_a_successor_that_has_it(tmp_path: Path) -> None:
    old = Control(tmp_path / "control", dict, report=print)
    new = Control(tmp_path / "control", dict, report=print)
    old.close()
    assert (tmp_path / "control").exists()
    new.close()
    assert not (tmp_path / "control").exists()


def test_other_users_are_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        told = list[str]()
        control = Control(tmp_path / "control", dict, report=told.append)
        waiting = asyncio.create_task(control.succeeded())
        monkeypatch.setattr("trickles.gateway.handover._CREDENTIALS", Stranger())
        with pytest.raises(HandoverError):
            await elsewhere(lambda: Predecessor(tmp_path / "control"))
        await until(lambda: bool(told))
        assert told == ["user 12345 asked for the listening sockets, and was refused"]
        waiting.cancel()
        control.close()

    on_loop(test())


class Stranger:
    """Credentials of somebody else."""

    size = 12

    def unpack(self, _: bytes) -> tuple[int, int, int]:
        """What it says."""
        return (1, 12345, 12345)


@pytest.mark.parametrize(
    "message",
    [
        b"junk",
        b"[]",
        b"{}",
        b'{"form": "trickles gateway 1"}',
        b'{"form": "else", "listen": []}',
        b'{"form": "trickles gateway 1", "listen": [["a", 7]]}',
        b'{"form": "trickles gateway 1", "listen": [["a", 1]]}',
        b'{"form": "trickles gateway 1", "listen": [1]}',
    ],
)
def test_who_does_not_speak_as_a_gateway_does_is_refused(tmp_path: Path, message: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "control"))
        server.listen()

        def answer() -> None:
            connected, _ = server.accept()
            with connected, suppress(OSError), Path(os.devnull).open() as sink:
                socket.send_fds(connected, [message], [sink.fileno()])

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(HandoverError, match="another protocol for takeovers"):
            Predecessor(tmp_path / "control")
        thread.join()


def test_one_that_closes_before_it_answers_is_none_that_speaks_otherwise(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "control"))
        server.listen()

        def leave() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=leave)
        thread.start()
        with pytest.raises(HandoverError, match="control: it closed the connection before it answered"):
            Predecessor(tmp_path / "control")
        thread.join()


def test_many_successors_wait_and_more_are_refused_in_words(tmp_path: Path) -> None:
    control = Control(tmp_path / "control", dict, report=print)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(65)]
    for each in waiting:
        each.setblocking(False)
        each.connect(str(tmp_path / "control"))
    with pytest.raises(HandoverError, match="it is busy with other successors"):
        Predecessor(tmp_path / "control")
    for each in waiting:
        each.close()
    control.close()


def test_a_successor_that_connects_when_a_look_is_due_gets_its_answer(tmp_path: Path) -> None:
    async def test() -> None:
        told = list[str]()
        with socket.socket(socket.AF_UNIX) as connected:
            control = Control(tmp_path / "control", dict, report=told.append)
            waiting = asyncio.create_task(control.succeeded())
            await asyncio.sleep(0)
            connected.connect(str(tmp_path / "control"))
            pass_time(2.0)  # in the loop's next turn there are a connection and a timeout
            message = await elsewhere(lambda: connected.recv(100))
            assert message == b'{"form": "trickles gateway 1", "listen": []}'
            connected.send(READY + bytes(32))
            (await waiting).sock.close()
            control.close()
        assert told == []

    on_loop(test())


def test_a_timeout_loses_nothing_that_was_received() -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            waiting = asyncio.create_task(_limited(ours))
            await asyncio.sleep(0)
            theirs.send(b"yes")
            pass_time(2.0)
            with pytest.raises(TimeoutError):
                await waiting
            assert ours.recv(100) == b"yes"

    on_loop(test())


async def _limited(sock: socket.socket) -> None:
    async with asyncio.timeout(1.0):
        await until_readable(sock)


def test_without_a_gateway_there_is_nothing_to_take_over(tmp_path: Path) -> None:
    with pytest.raises(HandoverError, match="no gateway to take over from at"):
        Predecessor(tmp_path / "control")
    with pytest.raises(HandoverError, match="No such file or directory"):
        Predecessor(tmp_path / "nowhere" / "control")


def test_a_path_that_is_removed_is_made_again(tmp_path: Path) -> None:
    async def test() -> None:
        told = list[str]()
        with listening() as sock:
            control = Control(
                tmp_path / "run" / "control", lambda: {"a:1": [sock.fileno()]}, report=told.append, look_seconds=0.01
            )
            waiting = asyncio.create_task(control.succeeded())
            shutil.rmtree(tmp_path / "run")
            await until((tmp_path / "run" / "control").exists)
            found = await elsewhere(lambda: Predecessor(tmp_path / "run" / "control"))
            assert isinstance(found, Predecessor)
            for taken in found.take("a:1"):
                taken.close()
            found.relieve(bytes(32)).close()
            (await waiting).sock.close()
            control.close()
        assert told == []

    on_loop(test())


def test_a_path_that_cannot_be_had_now_is_had_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full, real = [True], handover._listening

    def maybe(path: Path) -> socket.socket:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(handover, "_listening", maybe)

    async def test() -> None:
        told = list[str]()
        control = Control(tmp_path / "control", dict, report=told.append, look_seconds=0.01)
        waiting = asyncio.create_task(control.succeeded())
        await until(lambda: bool(told))
        full[0] = False
        await until((tmp_path / "control").exists)
        waiting.cancel()
        control.close()
        assert told == ["no successor can connect now: No space left on device"]

    on_loop(test())
