"""Descriptors by which others know that a process lives: none of its forked children has one."""

import fcntl
import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.forks import living_child
from trickles.drivers.udp import BatchSocket
from trickles.drivers.unshared import close_unshared, unshared
from trickleweb.stores.bells import Bell
from trickleweb.stores.owners import Owner, alone, is_alive
from trickleweb.telemetry.admin import AdminServer
from trickleweb.tus import UploadFolder, UploadRecord

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def place_in(child: int, descriptor: int) -> str:
    return os.readlink(f"/proc/{child}/fd/{descriptor}")  # noqa: PTH115 - a socket's is no path


def test_a_child_has_another_descriptor_at_the_same_number(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    held = unshared(lambda: os.open(tmp_path / "file", os.O_RDWR))
    usual = os.open(tmp_path / "file", os.O_RDWR)
    with living_child() as child:
        assert place_in(child, held) == os.devnull
        assert place_in(child, usual) == str(tmp_path / "file")
        assert place_in(os.getpid(), held) == str(tmp_path / "file")
        fcntl.flock(held, fcntl.LOCK_EX)
        close_unshared(held)
        fcntl.flock(usual, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(usual)


def test_a_number_that_was_closed_is_a_childs_to_have(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    held = unshared(lambda: os.open(tmp_path / "file", os.O_RDONLY))
    sock = unshared(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    close_unshared(held)
    sock.close()
    reused = [os.open(tmp_path / "file", os.O_RDONLY) for _ in range(2)]
    with living_child() as child:
        assert [place_in(child, each) for each in reused] == [str(tmp_path / "file")] * 2
    for each in reused:
        os.close(each)


def test_a_childs_own_are_unshared_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    held = unshared(lambda: os.open(tmp_path / "file", os.O_RDONLY))
    child = os.fork()
    if not child:
        close_unshared(held)
        held = unshared(lambda: os.open(tmp_path / "file", os.O_RDONLY))
        with living_child() as grandchild:
            os._exit(place_in(grandchild, held) != os.devnull)
    assert os.waitpid(child, 0)[1] == 0
    close_unshared(held)


def test_no_fork_comes_between_opening_and_noting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    forked: list[str] = []

    def fork() -> None:
        with living_child() as child:
            forked.append(place_in(child, opened[0]))

    opened: list[int] = []
    forking = threading.Thread(target=fork)

    def slowly() -> int:
        opened.append(os.open(tmp_path / "file", os.O_RDONLY))
        forking.start()
        forking.join(0.05)
        return opened[0]

    held = unshared(slowly)
    forking.join()
    assert forked == [os.devnull]
    close_unshared(held)


def test_a_replicas_port_is_free_when_its_parent_has_closed_it() -> None:
    sock = BatchSocket.bind("127.0.0.1", 0)
    with living_child():
        sock.close()
        BatchSocket.bind(*sock.address).close()


@pytest.mark.slow
def test_an_admin_port_is_free_when_its_parent_has_closed_it() -> None:
    server = AdminServer("127.0.0.1", 0, lambda: "")
    with living_child():
        server.close()
        AdminServer(*server.address, lambda: "").close()


def test_an_owner_is_dead_although_its_child_lives(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    with living_child(), alone(tmp_path):
        assert is_alive(tmp_path, owner.name)
        close_unshared(owner._descriptor)  # as by a kill: the file stays
        assert not is_alive(tmp_path, owner.name)


def test_exclusion_ends_although_a_child_lives(tmp_path: Path) -> None:
    with ExitStack() as children:
        with alone(tmp_path):
            children.enter_context(living_child())
        with alone(tmp_path):  # would wait for the child
            pass


def test_a_bell_is_gone_although_its_child_lives(tmp_path: Path) -> None:
    one, other = Bell(tmp_path / "bells"), Bell(tmp_path / "bells")
    with living_child():
        one._socket.close()  # as by a kill: the name stays
        other.ring()
        assert len(list((tmp_path / "bells").iterdir())) == 1
    one.close()
    other.close()


def test_an_upload_is_unlocked_although_a_child_lives(tmp_path: Path) -> None:
    folder, record = UploadFolder(tmp_path), UploadRecord(id="0" * 32)
    folder.create(record)
    opened = folder.open(record.id)
    with living_child():
        opened.close()
        folder.open(record.id).close()
