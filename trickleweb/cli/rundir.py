"""The run directory of a fleet: pid files, status files, the fleet's identity; one fleet at a time.

While the fleet runs, its directory never raises: a file that cannot be written, or was removed, is written by a later
`look`.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trickles.command import CommandFailed
from trickles.drivers.bookkeeping import KeptFile, remove_file, unreported
from trickles.drivers.ownership import check_directory, is_at, read_whole
from trickles.drivers.unshared import close_unshared, unshared
from trickles.errors import UnsafePlace

DEFAULT = ".run"
FLEET = "fleet"  # the supervisor's own status, besides those of its processes
GATEWAY = "gateway"
STATUS_SECONDS = 0.25  # between figures: counts after a killed replica's last report are lost

_MOST_PID_BYTES = 32
_MOST_FIGURES_BYTES = 1 << 18  # usually some kilobytes


def replica_name(index: int) -> str:
    return f"replica-{index}"


class RunDir:
    """The files of a fleet; each is written as a whole or not at all."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.keys = self.path / "keys"
        self.server_key = self.path / "server.pub"
        self.digests = self.path / "digests.sqlite"
        self.ledger = self.path / "ledger.sqlite"
        self.topics = self.path / "topics.sqlite"
        self.responses = self.path / "responses"
        self.spool = self.path / "spool"
        self.report: Callable[[str], None] = unreported
        self._kept: dict[Path, KeptFile] = {}
        self._lock = -1  # a descriptor, while it is held

    @contextmanager
    def held(self) -> Iterator[None]:
        """Create the directory and lock it for this process; raise `CommandFailed` while another fleet holds it.

        UnsafePlace for a directory that others may write.
        """
        try:
            self._lock = self._locked()
        except OSError as error:
            raise CommandFailed(
                f"cannot write the run directory {self.path}: {error.strerror}: choose another with --run-dir DIR"
            ) from None
        try:
            self.sweep()
            yield
        finally:
            close_unshared(self._lock)

    def look(self) -> None:
        """Write files that failed or are gone; raise OSError, or `CommandFailed` if another fleet is there."""
        if not is_at(self.path / "lock", self._lock):
            fresh = self._locked()
            close_unshared(self._lock)
            self._lock = fresh
        for each in list(self._kept.values()):
            each.look()

    def _locked(self) -> int:
        """Return a descriptor that locks the directory, created if missing, for this process."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.check()
        descriptor = unshared(lambda: os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            close_unshared(descriptor)
            raise CommandFailed(f"{self.path} is in use by another fleet: use --run-dir OTHER") from None
        return descriptor

    def _keeping(self, path: Path) -> KeptFile:
        return self._kept.setdefault(path, KeptFile(path, self.report))

    def check(self) -> None:
        """Raise UnsafePlace if others could have written the files here.

        A directory meant for all, such as /tmp, is left as it is: the text asks for another one.
        """
        if not self.path.exists():
            return
        try:
            check_directory(self.path)
        except UnsafePlace:
            if self.path.stat().st_mode & stat.S_ISVTX:
                hint = f"{self.path} is a directory for all users: use --run-dir {self.path / 'NAME'}, or another"
                raise UnsafePlace(hint) from None
            raise

    def pid_file(self, name: str) -> Path:
        """Return the path of the file that holds a process's pid while it is ready."""
        return self.path / f"{name}.pid"

    def control_socket(self, name: str) -> Path:
        """Return the path of the socket where a successor asks that process to give way, next to its pid file."""
        return self.path / f"{name}.sock"

    def status_file(self, name: str) -> Path:
        """Return the path of a process's figures."""
        return self.path / f"{name}.json"

    def note_pid(self, name: str, pid: int) -> None:
        """Write the pid of a process that is ready."""
        self._keeping(self.pid_file(name)).put(f"{pid}\n")

    def drop_pid(self, name: str) -> None:
        """Remove the pid of a process that has ended: another may get it."""
        self._keeping(self.pid_file(name)).drop()

    def note(self, name: str, figures: dict[str, object]) -> None:
        """Write the figures of a process."""
        self._keeping(self.status_file(name)).put(json.dumps(figures))

    def pid(self, name: str) -> int | None:
        """Return the pid in that process's file, for people; None while it is not ready."""
        try:
            text = read_whole(self.pid_file(name), _MOST_PID_BYTES).decode("ascii").strip()
        except (OSError, ValueError):
            return None
        return (int(text) or None) if text.isdecimal() else None

    def figures(self, name: str) -> dict[str, object]:
        """Return the last figures of that process; empty if there are none, or unreadable ones."""
        try:
            found = json.loads(read_whole(self.status_file(name), _MOST_FIGURES_BYTES))
        except Exception:  # noqa: BLE001 - hostile JSON: nested too deeply (RecursionError), endless digits
            return {}
        return found if isinstance(found, dict) else {}

    def sweep(self) -> None:
        """Remove the files about processes, none of which runs."""
        self._kept.clear()
        for pattern in ("*.pid", "*.json", "*.sock", ".*.new"):
            with suppress(OSError):
                for path in list(self.path.glob(pattern)):
                    remove_file(path)


def is_alive(pid: object) -> bool:
    """Return whether this is the pid of a running process."""
    if not isinstance(pid, int) or pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
