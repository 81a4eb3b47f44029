"""The kinds of body, and the level at which each resumes."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from trickleweb.bodies.steps import Data, Stepped
from trickleweb.messages import Piece


class Level(IntEnum):
    """The way in which another replica resumes a body."""

    ADDRESSABLE = 1  # its bytes are a function of their offset
    STEPPED = 2  # a cursor leads into the middle
    REPLAYED = 3  # the request is run again; bytes sent already are checked and skipped


class Complete(NamedTuple):
    """Level 1: constant bytes."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class FileBody:
    """A file below one of the application's folders, with ranges and conditions; resolved to `Planned`."""

    path: str  # relative, with slashes
    folder: str = ""  # the application's name for it
    media_type: str = ""  # "": by the file's name


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template with its values; resolved to `Complete`, or to `Streamed` where it is `streaming`."""

    template: str
    context: Mapping[str, Any]
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """Level 1: pieces in order, read by their contents' names (`Application.read`)."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Streamed:
    """Level 3: the items of an iterable, once.

    `byte_count`, if given, goes out as Content-Length, and another number of bytes ends the transfer with an error. For
    HEAD the iterable is not read.
    """

    chunks: AsyncIterable[Data] | Iterable[Data]
    byte_count: int | None = None


Resolved = Complete | Planned | Stepped | Streamed  # what a server sends
Body = Resolved | FileBody | Rendered  # what a handler may return


def level(body: Body) -> Level:
    """Return the level at which a body resumes."""
    match body:
        case Stepped():
            return Level.STEPPED
        case Streamed() | Rendered(streaming=True):
            return Level.REPLAYED
        case _:
            return Level.ADDRESSABLE
