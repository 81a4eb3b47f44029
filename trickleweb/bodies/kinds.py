"""The kinds of body, and the level at which each resumes."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from trickleweb.bodies.steps import Data, Stepped


class Level(IntEnum):
    """How another replica goes on with a body."""

    ADDRESSABLE = 1  # its bytes are a function of their offset
    STEPPED = 2  # a cursor leads into the middle
    REPLAYED = 3  # the request is run again, and what is out already is checked and skipped


@dataclass(frozen=True, slots=True)
class Complete:
    """Level 1: these very bytes."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class FileBody:
    """Level 1: a file below one of the application's folders, with ranges and conditions as static files have them."""

    path: str  # relative, with slashes
    folder: str = ""  # the application's name for it
    media_type: str = ""  # "": by the file's name


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template with its values. Whole it is level 1, rendered again where it is not at hand; `streaming`, level 3."""

    template: str
    context: Mapping[str, Any]
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class Streamed:
    """Level 3: whatever an iterable gives, once.

    If `byte_count` is told it goes out as Content-Length, and another count of bytes ends the transfer visibly. With
    HEAD nothing is taken from the iterable.
    """

    chunks: AsyncIterable[Data] | Iterable[Data]
    byte_count: int | None = None


Body = Complete | FileBody | Rendered | Stepped | Streamed


def level(body: Body) -> Level:
    """The level at which a body resumes."""
    match body:
        case Stepped():
            return Level.STEPPED
        case Streamed() | Rendered(streaming=True):
            return Level.REPLAYED
        case _:
            return Level.ADDRESSABLE
