"""Trust on first use: a file of the identity of each fleet, and the start of its newest certificate.

NAME is the user's name for the fleet, such as `HOST:PORT`, in lower case. Several lines of one name are several
accepted identities. Blank lines, lines that begin with `#`, and damaged lines of other names are ignored.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypedDict

from trickles.drivers.keystore.files import UNALTERED, errors_as, read_open_file, signature
from trickles.drivers.keystore.server_key import decode_key, server_key_text
from trickles.errors import IdentityError
from trickles.keyring import fingerprint
from trickles.limits import SECOND

_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_LINE = re.compile(rb"\s*\S+\s+\S+\s+\S+\s+newest=(\S{20})(?!\S)")
_FORM = "%Y-%m-%dT%H:%M:%SZ"
_EPOCH = datetime.fromtimestamp(0, UTC)
_LATEST = 253_402_300_799 * SECOND  # the last second of the year 9999, where calendars end


class Known(NamedTuple):
    """A line about a fleet: its number, the identity in it (None when unreadable), the newest start (0: none).

    `place` is the offset of that start in the file, None where there is none.
    """

    line: int
    identity: bytes | None
    newest: int = 0
    place: int | None = None


def known(data: bytes, name: str) -> list[Known]:
    """Return the lines of a file's content that are about `name`; any bytes are allowed."""
    found, at = [], 0
    for number, line in enumerate(data.split(b"\n"), 1):
        fields = line.decode("utf-8", "replace").split(maxsplit=3)
        if fields and fields[0].lower() == name:
            identity = decode_key(*fields[1:3]) if len(fields) > 2 else None
            written = _LINE.match(line)
            newest = parsed_time(written[1]) if written is not None else None
            place = at + written.start(1) if written is not None and newest is not None else None
            found.append(Known(number, identity, newest or 0, place))
        at += len(line) + 1
    return found


def line_about(name: str, identity: bytes, newest: int = 0) -> str:
    """Return the line for an identity, without its end."""
    return f"{name} {server_key_text(identity)} newest={time_text(newest).decode()}"


def time_text(moment: int) -> bytes:
    """Return a time in microseconds since 1970 as the file has it: 20 characters, rounded down to the second."""
    return (_EPOCH + timedelta(seconds=min(max(moment, 0), _LATEST) // SECOND)).strftime(_FORM).encode()


def parsed_time(text: bytes) -> int | None:
    """Undo `time_text`; None for anything else."""
    if _TIME.fullmatch(text) is None:
        return None
    try:
        moment = datetime.strptime(text.decode(), _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)


VARIABLE = "TRICKLES_KNOWN_HOSTS"
MAX_NAME_CHARACTERS = 8192  # a list of a few hundred replicas may be the name
MAX_FILE_BYTES = 4 << 20  # some 40,000 fleets of usual names
_UNWRITABLE = f" (to remember a fleet; pin it with --server-key, or set {VARIABLE} to a file that can be written)"
_OPEN = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Rules(TypedDict):
    """Options of a client: trusted identities and certificates."""

    trust: Callable[[bytes], bool]
    note_start: Callable[[bytes, int], int]


class KnownHosts:
    """The identities in one file, which need not exist yet; processes may share it.

    `path` wins over the environment variable TRICKLES_KNOWN_HOSTS, which wins over `~/.config/trickles/known_hosts`
    (`$XDG_CONFIG_HOME/trickles/known_hosts` where that is set).
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] = os.environ) -> None:
        self.path = default_path(environ) if path is None else Path(path)

    def rules(self, name: str) -> Rules:
        return {"trust": self.trust(name), "note_start": self.note_start(name)}

    def trust(self, name: str) -> Callable[[bytes], bool]:
        """Return a function that accepts the known identity of `name`, or stores and accepts the first one.

        It raises IdentityError for another identity, with the file and line that disagree, and when the file cannot be
        used or written, since trust must be remembered. A name with blanks is refused at once.
        """
        wanted = checked_name(name)
        accepted: set[bytes] = set()  # seen in the file by this process

        def decide(identity: bytes) -> bool:
            if identity not in accepted:
                self._decide(wanted, identity)
                accepted.add(identity)
            return True

        return decide

    def note_start(self, name: str) -> Callable[[bytes, int], int]:
        """Return a function that stores the start of an identity's certificate, and returns the newest start of it.

        Times are microseconds since 1970. Where the file cannot be written only this process remembers.
        """
        wanted = checked_name(name)
        newest: dict[bytes, int] = {}
        seen: object = None

        def note(identity: bytes, start: int) -> int:
            nonlocal seen
            if start > newest.get(identity, -1) or seen != signature(self.path):
                latest = max(start, newest.get(identity, 0))
                with suppress(IdentityError):
                    latest = max(latest, self._note(wanted, identity, latest))
                newest[identity], seen = latest, signature(self.path)
            return newest[identity]

        return note

    def find(self, name: str) -> list[Known]:
        """Return the lines about `name`, in order; IdentityError when the file cannot be used."""
        wanted = checked_name(name)
        with errors_as(IdentityError, self.path):
            try:
                with self._opened(os.O_RDONLY) as descriptor:
                    return known(self._read(descriptor), wanted)
            except FileNotFoundError:
                return []

    def _decide(self, name: str, identity: bytes) -> None:
        if self._accepts(self.find(name), name, identity):
            return
        with errors_as(IdentityError, self.path, _UNWRITABLE):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._opened(os.O_RDWR | os.O_CREAT) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                data = self._read(descriptor)
                if not self._accepts(known(data, name), name, identity):  # another process may have come first
                    _append(descriptor, data, line_about(name, identity))

    def _note(self, name: str, identity: bytes, start: int) -> int:
        """Store a certificate's start if it is the newest; return the newest. IdentityError as `find`."""
        newest = max((each.newest for each in self.find(name) if each.identity == identity), default=None)
        if newest is None or newest >= start - start % SECOND:  # a removed line is not written again
            return max(newest or 0, start)
        with errors_as(IdentityError, self.path), self._opened(os.O_RDWR) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            data = self._read(descriptor)
            lines = [each for each in known(data, name) if each.identity == identity]
            newest = max((each.newest for each in lines), default=start)  # another process may have come first
            if newest < start:
                place = next((each.place for each in lines if each.place is not None), None)
                if place is None:
                    _append(descriptor, data, line_about(name, identity, start))
                else:
                    os.pwrite(descriptor, time_text(start), place)
            return max(newest, start)

    def _accepts(self, lines: list[Known], name: str, identity: bytes) -> bool:
        """Return True when a line names this identity, False when there are none; IdentityError when all disagree."""
        if not lines or any(each.identity == identity for each in lines):
            return bool(lines)
        where = f"{self.path}:{lines[0].line}"
        if all(each.identity is None for each in lines):
            raise IdentityError(f"{where}: the line about {name} is damaged: mend it, or remove it to trust again")
        raise IdentityError(
            f"the identity of {name} has changed: {where} does not know {fingerprint(identity)}, which answers now; "
            f"this may be an attack on {name}. If it has new keys, remove that line"
        )

    def _read(self, descriptor: int) -> bytes:
        return read_open_file(descriptor, self.path, UNALTERED, MAX_FILE_BYTES)

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        descriptor = os.open(self.path, flags | _OPEN, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def checked_name(name: str) -> str:
    """Return the name as the file has it; IdentityError when it is not one printable ASCII word of allowed length."""
    word = name.lower()
    printable = name.isascii() and word.isprintable() and not any(each.isspace() for each in word)
    if not word or not printable or word.startswith("#") or len(word) > MAX_NAME_CHARACTERS:
        raise IdentityError(f"{name[:40]!r} cannot name a fleet: HOST:PORT, or a word of printable ASCII, can")
    return word


def default_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the file unless the user gives one; IdentityError when there is no home."""
    if chosen := environ.get(VARIABLE):
        return Path(chosen)
    configured = environ.get("XDG_CONFIG_HOME", "")
    try:
        base = Path(configured) if configured.startswith("/") else Path.home() / ".config"
    except RuntimeError:
        raise IdentityError(f"no home directory to remember fleets in: set {VARIABLE}, or give --server-key") from None
    return base / "trickles" / "known_hosts"


def _append(descriptor: int, data: bytes, line: str) -> None:
    """Write one whole line after `data`, the file's content, or nothing; the caller holds the lock."""
    fresh = f"{line}\n".encode() if not data or data.endswith(b"\n") else f"\n{line}\n".encode()
    try:
        if os.pwrite(descriptor, fresh, len(data)) != len(fresh):
            raise OSError("the disk is full")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, len(data))
        raise
