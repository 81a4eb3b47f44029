"""When a request was handled first, where it came from, and the seed of its entropy: equal when it is run again."""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from trickleweb.origin.response import NotThisResponse

SEED_BYTES = 16
_LAYOUT = struct.Struct(f">QQ{SEED_BYTES}s")


class Moment(NamedTuple):
    """Microseconds since 1970, the offset of the request in its connection's input, 16 bytes that nobody else knows."""

    now: int
    offset: int
    seed: bytes

    @property
    def entropy(self) -> bytes:
        """32 bytes that follow from the seed."""
        return hashlib.sha256(b"the entropy of a request" + self.seed).digest()

    def pack(self) -> bytes:
        """32 bytes."""
        return _LAYOUT.pack(*self)


def unpack_moment(data: bytes) -> tuple[Moment, bytes]:
    """The moment that `data` begins with, and what follows; `NotThisResponse` if it is cut."""
    try:
        moment = Moment(*_LAYOUT.unpack_from(data))
    except struct.error as exc:
        raise NotThisResponse(str(exc)) from None
    return moment, data[_LAYOUT.size :]
