"""Origins over folders, and what a client says to them, event by event and without a network."""

from collections.abc import Callable
from pathlib import Path

from tests.support.site_folder import store
from trickles.errors import InputLost
from trickles.service import Continuation, Event, Reply, Spooled
from trickleweb.files import FileStore, SiteOptions, StaticSite
from trickleweb.server import HttpService
from trickleweb.server.repeats import Repeats

NOW_S = 1_700_000_000
HOST = "Host: example.org"


class FileServer(HttpService):
    """A server of files, whose replies never come later."""

    def handle(self, event: Event) -> Reply:
        reply = super().handle(event)
        assert isinstance(reply, Reply)
        return reply


def origin(
    root: Path,
    options: SiteOptions | None = None,
    *,
    now_s: Callable[[], int] = lambda: NOW_S,
    files: FileStore | None = None,
    repeats: Repeats | None = None,
) -> FileServer:
    """An origin over `root`, where all files have long settled."""
    contents = files or store(root)
    return FileServer(StaticSite(contents, options), clock_us=lambda: now_s() * 1_000_000, repeats=repeats)


def get(path: str = "/", *fields: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """A request without a body."""
    return "\r\n".join((f"{method} {path} {version}", HOST, *fields, "", "")).encode("latin-1")


def event(
    given: bytes = b"",
    known: Continuation | None = None,
    *wants: tuple[int, int],
    budget: int = 1 << 30,
    early: bool = False,
    end: bool = False,
    offset: int | None = None,
    spooled: Spooled | None = None,
) -> Event:
    """An event whose input joins on to what `known` consumed; all output is wanted unless said otherwise."""
    at = offset if offset is not None else known.consumed if known else 0
    return Event(b"12345678", "192.0.2.1", early, at, given, end, known, wants or ((0, 1 << 40),), budget, spooled)


def spool(data: bytes, *, kept: int | None = None) -> Spooled:
    """All of that input lies in the spool; or did once, and `kept` bytes of it still do."""

    def read(start: int, stop: int) -> bytes:
        if stop > (len(data) if kept is None else kept):
            raise InputLost
        return data[start:stop]

    return Spooled(0, len(data), read)


def output(reply: Reply) -> bytes:
    """The bytes of a reply, which must be in order and without a hole."""
    assert reply.refusal is None, reply.refusal
    joined = bytearray()
    for offset, data in reply.chunks:
        assert offset == reply.chunks[0][0] + len(joined)
        joined += data
    return bytes(joined)


def begun(server: FileServer, given: bytes, known: Continuation | None = None) -> tuple[bytes, Continuation]:
    """The whole response that some input begins, and its continuation."""
    reply = server.handle(event(given, known))
    new = reply.continuation
    assert new is not None
    assert new.start == (known.stop if known else 0)
    data = output(reply)
    assert len(data) >= (new.stop or 0) - new.start
    return data[-((new.stop or 0) - new.start) :], new


def status(response: bytes) -> int:
    """The status in a response's first line."""
    return int(response.split(b" ", 2)[1])


def body(response: bytes) -> bytes:
    """What follows the head."""
    return response.partition(b"\r\n\r\n")[2]


def fields(response: bytes) -> dict[str, str]:
    """The header fields, names in lower case."""
    lines = response.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
