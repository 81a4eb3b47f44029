"""A client that notes when each piece of one response came, whatever becomes of the response."""

import hashlib
import http.client
import time
from dataclasses import dataclass, field

from benchmarks.support import net


@dataclass(slots=True)
class Received:
    """One response: seconds from the request to each piece, event and the end; `broken` is the error that ended it.

    `began` is by the wall clock.
    """

    began: float
    status: int = 0
    moments: list[float] = field(default_factory=list)
    event_moments: list[float] = field(default_factory=list)
    size: int = 0
    sha256: str = ""
    ended: float = 0.0
    broken: str = ""

    @property
    def events(self) -> int:
        return len(self.event_moments)

    @property
    def first(self) -> float:
        return self.moments[0] if self.moments else self.ended


def ask(port: int, method: str, path: str, body: bytes = b"", timeout: float = 120.0) -> Received:
    """Ask, and read to the end."""
    connection = http.client.HTTPConnection(net.LOOPBACK, port, timeout=timeout)
    got, digest = Received(time.time()), hashlib.sha256()
    began = time.monotonic()
    try:
        connection.request(method, path, body or None)
        response = connection.getresponse()
        got.status = response.status
        while piece := response.read1(1 << 18):
            got.moments.append(time.monotonic() - began)
            got.event_moments += [got.moments[-1]] * piece.count(b"data: ")
            got.size += len(piece)
            digest.update(piece)
        if response.length:
            got.broken = f"{response.length} bytes are missing"
    except (OSError, http.client.HTTPException) as error:
        got.broken = repr(error)
    finally:
        connection.close()
    got.ended, got.sha256 = time.monotonic() - began, digest.hexdigest()
    return got
