"""Trust on first use: a file that remembers which identity each fleet had, and how new its certificates were.

NAME is what the user called the fleet, `HOST:PORT` for one, in lower case. Several lines of one name are several
identities that are all right. Blank lines, lines that begin with `#`, and damaged lines of other names are passed over.
The form of a line is in `known_lines`.
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
    """One line about a fleet: its number, the identity in it (None when it cannot be read), the newest start (0: none).

    `place` is where in the file the time of that start is written; None where none is.
    """

    line: int
    identity: bytes | None
    newest: int = 0
    place: int | None = None


def known(data: bytes, name: str) -> list[Known]:
    """The lines of a file's content that are about `name`; any bytes are allowed."""
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
    """The line, without its end."""
    return f"{name} {server_key_text(identity)} newest={time_text(newest).decode()}"


def time_text(moment: int) -> bytes:
    """A time in microseconds since 1970 as the file has it, 20 characters, to the second below."""
    return (_EPOCH + timedelta(seconds=min(max(moment, 0), _LATEST) // SECOND)).strftime(_FORM).encode()


def parsed_time(text: bytes) -> int | None:
    """Undo `time_text`; None for what is no time."""
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
    """Whom a client trusts, and which of his certificates."""

    trust: Callable[[bytes], bool]
    note_start: Callable[[bytes, int], int]


class KnownHosts:
    """The identities remembered in one file, which need not exist yet; processes may share it.

    `path` wins over the environment variable TRICKLES_KNOWN_HOSTS, which wins over `~/.config/trickles/known_hosts`
    (`$XDG_CONFIG_HOME/trickles/known_hosts` where that is set).
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] = os.environ) -> None:
        self.path = default_path(environ) if path is None else Path(path)

    def rules(self, name: str) -> Rules:
        """What a client of that fleet needs of this file, as options of its configuration."""
        return {"trust": self.trust(name), "note_start": self.note_start(name)}

    def trust(self, name: str) -> Callable[[bytes], bool]:
        """A function that says True for the identity `name` has had, and for any (now remembered) if it had none.

        For another identity it raises IdentityError with the file and line that disagree; so it does when the file
        cannot be used or written, since trust that is forgotten is none. A name with blanks in it is refused here.
        """
        wanted = checked_name(name)
        accepted: set[bytes] = set()  # soft: what this process has seen in the file need not be read again

        def decide(identity: bytes) -> bool:
            if identity not in accepted:
                self._decide(wanted, identity)
                accepted.add(identity)
            return True

        return decide

    def note_start(self, name: str) -> Callable[[bytes, int], int]:
        """A function that notes when a certificate of an identity begins, and says when the newest one of it does.

        Times are microseconds since 1970. Where the file cannot be written this process alone remembers.
        """
        wanted = checked_name(name)
        newest: dict[bytes, int] = {}  # soft, but for what cannot be written
        seen: object = None

        def note(identity: bytes, start: int) -> int:
            nonlocal seen
            if start > newest.get(identity, -1) or seen != signature(self.path):
                told = max(start, newest.get(identity, 0))
                with suppress(IdentityError):
                    told = max(told, self._note(wanted, identity, told))
                newest[identity], seen = told, signature(self.path)
            return newest[identity]

        return note

    def find(self, name: str) -> list[Known]:
        """The lines about `name`, in order; IdentityError when the file cannot be used."""
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
        """Write down a certificate's start if it is the newest; what is the newest then. IdentityError as `find`."""
        newest = max((each.newest for each in self.find(name) if each.identity == identity), default=None)
        if newest is None or newest >= start - start % SECOND:  # a line that was removed is not made again
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
        """Whether one of the lines names this identity; False when there are none, IdentityError when all disagree."""
        if not lines or any(each.identity == identity for each in lines):
            return bool(lines)
        where = f"{self.path}:{lines[0].line}"
        if all(each.identity is None for each in lines):
            raise IdentityError(f"{where}: the line about {name} is damaged: mend it, or remove it to trust anew")
        raise IdentityError(
            f"the identity of {name} has changed: {where} does not know {fingerprint(identity)}, which answers now; "
            f"somebody may be posing as {name}. If it has new keys, remove that line"
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
    """The name as the file has it; IdentityError when it is empty, too long, or not one printable ASCII word."""
    word = name.lower()
    printable = name.isascii() and word.isprintable() and not any(each.isspace() for each in word)
    if not word or not printable or word.startswith("#") or len(word) > MAX_NAME_CHARACTERS:
        raise IdentityError(f"{name[:40]!r} cannot name a fleet: HOST:PORT, or a word of printable ASCII, can")
    return word


def default_path(environ: Mapping[str, str]) -> Path:
    """Where identities are remembered unless the user says otherwise; IdentityError when there is no home."""
    if chosen := environ.get(VARIABLE):
        return Path(chosen)
    configured = environ.get("XDG_CONFIG_HOME", "")
    try:
        base = Path(configured) if configured.startswith("/") else Path.home() / ".config"
    except RuntimeError:
        raise IdentityError(f"no home directory to remember fleets in: set {VARIABLE}, or give --server-key") from None
    return base / "trickles" / "known_hosts"


def _append(descriptor: int, data: bytes, line: str) -> None:
    """Write one whole line behind `data`, which is all the file holds, or nothing; the caller holds the lock."""
    fresh = f"{line}\n".encode() if not data or data.endswith(b"\n") else f"\n{line}\n".encode()
    try:
        if os.pwrite(descriptor, fresh, len(data)) != len(fresh):
            raise OSError("the disk is full")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, len(data))
        raise
