"""Listening sockets pass from a running gateway to its successor: over a unix socket, with nothing refused meanwhile.

The successor connects, is sent descriptors with their names (unix(7), SCM_RIGHTS), gets ready, and says so; only then
does the predecessor accept no more. Until that word both accept from the same queues; without it nothing has changed.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trickles.drivers.bookkeeping import LATER
from trickles.drivers.ownership import check_directory
from trickles.errors import HandoverError, TricklesError, UnsafePlace

READY = b"ready\n"  # and a mark after it: whether open connections may follow
WHO = b"who?\n"  # of one that only wants to know which process listens
MARK_BYTES = 32
TAKEOVER = "--takeover"
READY_SECONDS = 60.0  # a successor may have names to look up
ASK_SECONDS = 5.0
MOST_SOCKETS = 64  # one message carries 253 (SCM_MAX_FD)
MOST_BYTES = 1 << 16
_CREDENTIALS = struct.Struct("3i")
_FORM = "trickles gateway 1"

Offer = Mapping[str, Sequence[int]]  # descriptors by the name of the place where they listen


@dataclass(frozen=True, slots=True)
class ReadySuccessor:
    """A successor that is ready, at the other end of `sock`; its mark says whose connections it can go on with."""

    sock: socket.socket
    mark: bytes


class Control:
    """The socket at which a successor asks; other users than the gateway's own, and root, are turned away."""

    def __init__(
        self,
        path: Path,
        offer: Callable[[], Offer],
        *,
        report: Callable[[str], None],
        look_seconds: float = 1.0,
    ) -> None:
        """Listen at `path`, in the place of whatever is there, or later where that may be possible later.

        Each `look_seconds` it looks whether the path is still there.

        Other errors are OSError, as of bind(2). UnsafePlace for a directory that others may write: they could put a
        socket of their own there.
        """
        self._path = path
        self._offer = offer
        self._report = report
        self._look_seconds = look_seconds
        self._sock: socket.socket | None = None
        self._inode = 0
        try:
            self._listen_again()
        except OSError as error:
            if error.errno not in LATER:
                raise

    async def succeeded(self) -> ReadySuccessor:
        """Wait for a successor that is ready; whoever is not in time, or goes away, has changed nothing."""
        while True:
            connected = await self._asked()
            try:
                async with asyncio.timeout(READY_SECONDS):
                    if (mark := await self._handed(connected)) is not None:
                        return ReadySuccessor(connected, mark)
            except OSError as error:  # a timeout too
                self._report(f"a successor has not become ready: {error.strerror or 'it took too long'}")
            except BaseException:
                connected.close()
                raise
            connected.close()

    async def _asked(self) -> socket.socket:
        """Return the next that connects. A path that was removed is made again; failures of that are reported, once."""
        loop, problem = asyncio.get_running_loop(), ""
        while True:
            try:
                if self._sock is None or not self._path.exists():
                    self._listen_again()
                assert self._sock is not None
                async with asyncio.timeout(self._look_seconds):
                    connected, _ = await loop.sock_accept(self._sock)
                return connected
            except TimeoutError:
                continue
            except (OSError, UnsafePlace) as error:  # no descriptors, no folder: that may pass
                if str(error) != problem:
                    problem = str(error)
                    self._report(f"no successor can ask now: {getattr(error, 'strerror', None) or error}")
                await asyncio.sleep(self._look_seconds)

    def _listen_again(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = _listening(self._path)
        if self._sock is not None:
            self._sock.close()
        self._sock = fresh
        self._inode = self._path.stat().st_ino

    async def _handed(self, connected: socket.socket) -> bytes | None:
        user = _user_of(connected)
        if user not in (0, os.geteuid()):
            self._report(f"user {user} asked for the listening sockets, and was refused")
            return None
        offer = self._offer()
        names = [[name, len(descriptors)] for name, descriptors in offer.items()]
        message = json.dumps({"form": _FORM, "listen": names}).encode()
        with suppress(BrokenPipeError):  # it may have said its word and left
            socket.send_fds(connected, [message], [each for descriptors in offer.values() for each in descriptors])
        word = await asyncio.get_running_loop().sock_recv(connected, len(READY) + MARK_BYTES)
        if word == WHO:
            return None
        if not word.startswith(READY) or len(word) != len(READY) + MARK_BYTES:
            self._report("a successor has not become ready: it went away")
            return None
        return word[len(READY) :]

    def close(self) -> None:
        """Listen no more; the path stays if a successor has it by now."""
        if self._sock is not None:
            self._sock.close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


class Predecessor:
    """The gateway that runs, whose sockets are taken over; HandoverError when there is none that answers."""

    def __init__(self, path: Path) -> None:
        self._sockets: dict[str, list[socket.socket]] = {}
        self._connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connected.settimeout(ASK_SECONDS)
            check_directory(path.parent)
            with _near(path) as place:
                self._connected.connect(place)
            if (user := _user_of(self._connected)) not in (0, os.geteuid()):
                raise HandoverError(f"what listens at {path} is of user {user}, and not taken over from")
            message, descriptors, _, _ = socket.recv_fds(self._connected, MOST_BYTES, MOST_SOCKETS)
        except OSError as error:
            self._connected.close()
            why = error.strerror or "it does not answer"
            raise HandoverError(f"no gateway to take over from at {path}: {why}") from None
        except TricklesError:
            self._connected.close()
            raise
        try:
            self._sockets = _named_untrusted(message, descriptors)
        except HandoverError:
            for each in descriptors:
                os.close(each)
            self._connected.close()
            raise

    def take(self, name: str) -> list[socket.socket]:
        """The sockets that listen at the place of that name; none if the predecessor had no such place."""
        return self._sockets.pop(name, [])

    def relieve(self, mark: bytes) -> socket.socket:
        """This gateway is ready: the predecessor accepts no more, and may send connections on what is returned.

        Sockets that were not taken are closed.
        """
        for sock in (each for sockets in self._sockets.values() for each in sockets):
            sock.close()
        self._sockets.clear()
        with suppress(OSError):  # it has died since, which comes to the same
            self._connected.sendall(READY + mark)
        return self._connected


class SuccessorProcess:
    """Starts the running program again, from what is installed now; an end before it has taken over is reported."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._watched: int | None = None  # a descriptor of the process

    def start(self) -> None:
        """Start it, unless one is just starting; failures are reported, and change nothing."""
        if self._watched is not None:
            return
        words = [sys.executable, *sys.orig_argv[1:]]
        try:
            pid = os.posix_spawn(sys.executable, [*words, *([] if TAKEOVER in words else [TAKEOVER])], os.environ)
            self._watched = os.pidfd_open(pid)
        except OSError as error:
            self._report(f"no successor: {error.strerror}")
            return
        asyncio.get_running_loop().add_reader(self._watched, self._ended, pid)

    def _ended(self, pid: int) -> None:
        self.forget()
        _, status = os.waitpid(pid, 0)
        self._report(f"the successor ended, with {os.waitstatus_to_exitcode(status)}: this gateway goes on")

    def forget(self) -> None:
        """Leave it on its own from now on."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None


def _user_of(connected: socket.socket) -> int:
    """The user at the other end, as the kernel says."""
    said = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(said)[1]
    return user


def asked_who_listens(path: Path) -> int | None:
    """Return the pid of the process that listens at a control socket; None when none of this user does, or it is busy.

    It waits for nothing.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected, _near(path) as place:
            connected.setblocking(False)
            connected.connect(place)
            said = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            with suppress(OSError):
                connected.send(WHO)
    except OSError:
        return None
    pid, user, _ = _CREDENTIALS.unpack(said)
    return pid if user == os.geteuid() and pid > 0 else None


def _named_untrusted(message: bytes, descriptors: list[int]) -> dict[str, list[socket.socket]]:
    try:
        said = json.loads(message)
        names = [(str(name), int(count)) for name, count in said["listen"]]
        known = said["form"] == _FORM and sum(count for _, count in names) == len(descriptors)
    except (ValueError, TypeError, KeyError):
        known, names = False, []
    if not known or not all(map(_listens, descriptors)):
        raise HandoverError("what runs there does not hand over as this version understands it")
    rest = iter(descriptors)
    return {name: [socket.socket(fileno=next(rest)) for _ in range(count)] for name, count in names}


def _listens(descriptor: int) -> bool:
    """Return True for a socket that listens."""
    duplicate = os.dup(descriptor)
    try:
        with socket.socket(fileno=duplicate) as sock:
            return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        os.close(duplicate)
        return False


def _listening(path: Path) -> socket.socket:
    check_directory(path.parent)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _near(fresh) as place:
            sock.bind(place)
        fresh.chmod(0o600)
        sock.listen(4)
        sock.setblocking(False)
        fresh.replace(path)
    except BaseException:
        sock.close()
        fresh.unlink(missing_ok=True)
        raise
    return sock


@contextmanager
def _near(path: Path) -> Iterator[str]:
    """Another name for `path`, short enough for a unix socket (108 bytes) however deep its directory lies."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
