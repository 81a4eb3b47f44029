"""Handover of listening sockets from a running gateway to its successor, over a unix socket.

The successor connects, receives descriptors with their names (unix(7), SCM_RIGHTS), and reports when it is ready; only
then does the predecessor stop accepting. Until then both accept from the same queues, so no connection is refused, and
if it never gets ready nothing has changed.
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

READY = b"ready\n"  # then a mark: whether open connections may follow
WHO = b"who?\n"  # asks only which process listens
MARK_BYTES = 32
TAKEOVER = "--takeover"
READY_SECONDS = 60.0  # a successor may have to resolve names
ASK_SECONDS = 5.0
WAITING = 64  # successors, and those that ask who listens
MOST_SOCKETS = 64  # one message carries 253 (SCM_MAX_FD)
MOST_BYTES = 1 << 16
_CREDENTIALS = struct.Struct("3i")
_FORM = "trickles gateway 1"

Offer = Mapping[str, Sequence[int]]  # listening descriptors by the name of their address


@dataclass(frozen=True, slots=True)
class ReadySuccessor:
    """A ready successor at the other end of `sock`; its mark identifies the connections it can resume."""

    sock: socket.socket
    mark: bytes


class Control:
    """The control socket for successors; only the gateway's own user and root may use it."""

    def __init__(
        self,
        path: Path,
        offer: Callable[[], Offer],
        *,
        report: Callable[[str], None],
        look_seconds: float = 1.0,
    ) -> None:
        """Listen at `path`, replacing an old socket; retry later after errors that may pass.

        The path is checked each `look_seconds`. Other errors are OSError, as of bind(2). UnsafePlace for a directory
        that others may write.
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
        """Wait for a ready successor; one that is late or goes away changes nothing."""
        while True:
            connected = await self._asked()
            try:
                async with asyncio.timeout(READY_SECONDS):
                    if (mark := await self._handed(connected)) is not None:
                        return ReadySuccessor(connected, mark)
            except OSError as error:  # a timeout too
                self._report(f"a successor did not get ready: {error.strerror or 'it took too long'}")
            except BaseException:
                connected.close()
                raise
            connected.close()

    async def _asked(self) -> socket.socket:
        """Return the next connection. A removed path is made again; failures of that are reported once."""
        problem = ""
        while True:
            try:
                if self._sock is None or not self._path.exists():
                    self._listen_again()
                assert self._sock is not None
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._look_seconds):
                        await until_readable(self._sock)
                connected, _ = self._sock.accept()
                connected.setblocking(False)
                return connected
            except BlockingIOError:  # nobody
                continue
            except (OSError, UnsafePlace) as error:  # no descriptors, no folder: that may pass
                if str(error) != problem:
                    problem = str(error)
                    self._report(f"no successor can connect now: {getattr(error, 'strerror', None) or error}")
                await asyncio.sleep(self._look_seconds)

    def _listen_again(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = _listening(self._path)
        if self._sock is not None:
            self._sock.close()
        self._sock = fresh
        self._inode = self._path.stat().st_ino

    async def _handed(self, connected: socket.socket) -> bytes | None:
        user = _peer_of(connected)[1]
        if user not in (0, os.geteuid()):
            self._report(f"user {user} asked for the listening sockets, and was refused")
            return None
        offer = self._offer()
        names = [[name, len(descriptors)] for name, descriptors in offer.items()]
        message = json.dumps({"form": _FORM, "listen": names}).encode()
        with suppress(BrokenPipeError):  # it may have left
            socket.send_fds(connected, [message], [each for descriptors in offer.values() for each in descriptors])
        await until_readable(connected)
        answer = connected.recv(len(READY) + MARK_BYTES)
        if answer == WHO:
            return None
        if not answer.startswith(READY) or len(answer) != len(READY) + MARK_BYTES:
            self._report("a successor did not get ready: it went away")
            return None
        return answer[len(READY) :]

    def close(self) -> None:
        """Close the socket; the path stays if a successor has it."""
        if self._sock is not None:
            self._sock.close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


class Predecessor:
    """The running gateway, whose sockets are taken over; HandoverError when none answers."""

    def __init__(self, path: Path) -> None:
        self._sockets: dict[str, list[socket.socket]] = {}
        self._connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connected.settimeout(ASK_SECONDS)
            check_directory(path.parent)
            with _near(path) as place:
                self._connected.connect(place)
            if (user := _peer_of(self._connected)[1]) not in (0, os.geteuid()):
                raise HandoverError(f"the process that listens at {path} is of user {user}, and not taken over from")
            message, descriptors, _, _ = socket.recv_fds(self._connected, MOST_BYTES, MOST_SOCKETS)
            if not message:
                raise ConnectionResetError(0, "it closed the connection before it answered")
        except OSError as error:
            self._connected.close()
            busy = isinstance(error, BlockingIOError)
            why = "it is busy with other successors" if busy else error.strerror or "it does not answer"
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
        """Return the listening sockets of that name; none if the predecessor has none."""
        return self._sockets.pop(name, [])

    def relieve(self, mark: bytes) -> socket.socket:
        """Report that this gateway is ready; return the socket on which the predecessor may send connections.

        Sockets that were not taken are closed.
        """
        for sock in (each for sockets in self._sockets.values() for each in sockets):
            sock.close()
        self._sockets.clear()
        with suppress(OSError):  # it has ended
            self._connected.sendall(READY + mark)
        return self._connected


class SuccessorProcess:
    """Starts the running program again, as installed now; an end before the takeover is reported."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._watched: int | None = None  # a descriptor of the process

    def start(self) -> None:
        """Start it, unless one is starting; failures are reported, and change nothing."""
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
        self._report(f"the successor ended with {os.waitstatus_to_exitcode(status)}: this gateway goes on")

    def forget(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None


async def until_readable(sock: socket.socket) -> None:
    """Wait until a connection can be accepted or data received, which a timeout of this wait cannot lose.

    The result of the loop's `sock_accept` or `sock_recv` is lost if a timeout passes in the same turn of the loop.
    """
    loop, descriptor, readable = asyncio.get_running_loop(), sock.fileno(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


def _peer_of(connected: socket.socket) -> tuple[int, int]:
    """Return process and user at the other end, from the kernel."""
    pid, user, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, user


def asked_who_listens(path: Path) -> int | None:
    """Return, without waiting, the pid of the process of this user that listens at a control socket, or None."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected, _near(path) as place:
            connected.setblocking(False)
            connected.connect(place)
            pid, user = _peer_of(connected)
            with suppress(OSError):
                connected.send(WHO)
    except OSError:
        return None
    return pid if user == os.geteuid() and pid > 0 else None


def _named_untrusted(message: bytes, descriptors: list[int]) -> dict[str, list[socket.socket]]:
    try:
        offer = json.loads(message)
        names = [(str(name), int(count)) for name, count in offer["listen"]]
        known = offer["form"] == _FORM and sum(count for _, count in names) == len(descriptors)
    except (ValueError, TypeError, KeyError):
        known, names = False, []
    if not known or not all(map(_listens, descriptors)):
        raise HandoverError("the gateway there uses another protocol for takeovers than this version")
    rest = iter(descriptors)
    return {name: [socket.socket(fileno=next(rest)) for _ in range(count)] for name, count in names}


def _listens(descriptor: int) -> bool:
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
        sock.listen(WAITING)
        sock.setblocking(False)
        fresh.replace(path)
    except BaseException:
        sock.close()
        fresh.unlink(missing_ok=True)
        raise
    return sock


@contextmanager
def _near(path: Path) -> Iterator[str]:
    """Yield a name of `path` short enough for a unix socket (108 bytes), however deep its directory lies."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
