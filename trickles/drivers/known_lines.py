"""The lines of a known_hosts file: a fleet's name, its identity, and when the newest certificate seen of it begins.

    NAME trickles-ed25519 BASE64 [newest=2026-03-01T12:00:00Z] [comment]

Any bytes are allowed; what is damaged is said to be. `newest` has a fixed width, so it can be written over in place.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from trickles.drivers.keystore.server_key import decode_key, server_key_text
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
