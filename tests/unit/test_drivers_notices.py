"""Notices to a service manager: what is sent when, to which names, and that nothing is without one."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from trickles.drivers.notices import NEVER, ManagerNotices


class Manager:
    """A socket of datagrams as systemd has one."""

    def __init__(self, name: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self._sock.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": name}

    @property
    def heard(self) -> list[str]:
        """The states that have arrived since."""
        found = list[str]()
        while True:
            try:
                found.append(self._sock.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._sock.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"@trickles-test-{os.getpid()}")
    yield made
    made.close()


def test_the_states_of_a_process_are_sent_in_order(manager: Manager) -> None:
    notices = ManagerNotices(manager.environ)
    notices.ready()
    notices.look()
    notices.reloading()
    assert manager.heard[0] == f"READY=1\nMAINPID={os.getpid()}"
    notices.look()
    notices.stopping()
    assert manager.heard == ["READY=1", "STOPPING=1"]


def test_a_reload_names_its_time(manager: Manager) -> None:
    ManagerNotices(manager.environ).reloading()
    state, moment = manager.heard[0].split("\n")
    assert state == "RELOADING=1"
    assert int(moment.removeprefix("MONOTONIC_USEC=")) > 0


def test_children_do_not_inherit_the_manager_unless_they_succeed(manager: Manager) -> None:
    ManagerNotices(manager.environ, inherited=True).ready()
    ManagerNotices(manager.environ).ready()
    ManagerNotices(manager.environ).ready()
    assert [len(manager.heard), manager.environ] == [2, {}]


def test_a_process_that_has_a_successor_says_no_more(manager: Manager) -> None:
    notices = ManagerNotices(manager.environ)
    notices.leave()
    for say in (notices.ready, notices.reloading, notices.stopping, notices.look):
        say()
    assert manager.heard == []


@pytest.mark.parametrize("watched", [{}, {"WATCHDOG_PID": str(os.getpid())}])
def test_a_watchdog_hears_at_each_look(manager: Manager, watched: dict[str, str]) -> None:
    notices = ManagerNotices(manager.environ | {"WATCHDOG_USEC": "4000000"} | watched)
    assert notices.every == 2.0
    notices.look()
    notices.look()
    assert manager.heard == ["WATCHDOG=1"] * 2


STRANGE = [
    {"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"},
    {"WATCHDOG_USEC": "-1"},
    {"WATCHDOG_USEC": "soon"},
    {"WATCHDOG_USEC": "²"},
    {"WATCHDOG_USEC": "9" * 5000},
]


@pytest.mark.parametrize("strange", STRANGE)
def test_no_watchdog_or_anothers_hears_nothing(manager: Manager, strange: dict[str, str]) -> None:
    notices = ManagerNotices(manager.environ | strange)
    notices.look()
    assert (notices.every, manager.heard) == (NEVER, [])


@pytest.mark.parametrize("place", ["", "relative", "vsock:2:1234", "/nowhere/notify", "/" + "x" * 200, "@"])
def test_a_manager_that_cannot_be_reached_is_nobodys_trouble(place: str) -> None:
    notices = ManagerNotices({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "1000000"})
    for say in (notices.ready, notices.reloading, notices.look, notices.stopping):
        say()


def test_readiness_that_found_no_manager_is_sent_once_there_is_one(tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    notices = ManagerNotices({"NOTIFY_SOCKET": place})
    notices.ready()
    late = Manager(place)
    notices.look()
    notices.look()
    assert late.heard == [f"READY=1\nMAINPID={os.getpid()}"]
    late.close()
