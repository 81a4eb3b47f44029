"""What is asked again within milliseconds is answered without asking the site, and never wrongly."""

from pathlib import Path

import pytest

from tests.support.origins import NOW_S, FileServer, begun, body, event, fields, get, output, status
from tests.support.site_folder import fill, store, write
from trickles.service import Continuation, Refusal
from trickleweb.files import SiteOptions, StaticSite
from trickleweb.messages import Plan, RequestHead
from trickleweb.server import Repeats

SECOND_NS = 1_000_000_000
FILES = {"a.txt": b"small", "large.bin": bytes(range(256)) * 400}


class Counting(StaticSite):
    """Counts what it is asked."""

    asked = 0

    def plan(self, request: RequestHead, path: str | None = None) -> Plan:
        self.asked += 1
        return super().plan(request, path)


class Server:
    """An origin over files, whose clock stands still unless told; the files have settled long ago."""

    def __init__(self, root: Path) -> None:
        self.now_ns = NOW_S * SECOND_NS
        self.root = fill(root, FILES)
        self.files = store(root)
        self.site = Counting(self.files, SiteOptions())
        self.origin = FileServer(self.site, clock_us=lambda: self.now_ns // 1000, repeats=Repeats(lambda: self.now_ns))

    def answer(self, request: bytes) -> bytes:
        """The whole response on a fresh connection."""
        return begun(self.origin, request)[0]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.mark.parametrize("path", ["/a.txt", "/large.bin"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_equal_requests_are_answered_alike_for_a_moment(server: Server, path: str, method: str) -> None:
    request = get(path, method=method)
    first = server.answer(request)
    assert body(first) == (FILES[path[1:]] if method == "GET" else b"")
    server.now_ns += 9_999_999
    assert server.answer(request) == first
    assert server.site.asked == 1
    server.now_ns += 1
    assert server.answer(request) == first
    assert server.site.asked == 2
    assert server.origin.statuses == {200: 3}


def test_on_one_connection_too(server: Server) -> None:
    first, known = begun(server.origin, get("/a.txt"))
    again, later = begun(server.origin, get("/a.txt"), known)
    assert again == first
    assert (later.start, later.consumed) == (len(first), 2 * len(get("/a.txt")))
    assert server.site.asked == 1


def test_a_moment_ends_with_its_second(server: Server) -> None:
    server.now_ns += SECOND_NS - 5_000_000
    before = fields(server.answer(get("/a.txt")))["date"]
    server.now_ns += 5_000_000
    assert fields(server.answer(get("/a.txt")))["date"] != before
    assert server.site.asked == 2


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/a.txt", "Connection: close"),
        get("/a.txt", version="HTTP/1.0"),
        get("/a.txt", method="OPTIONS"),
        get("/a.txt", "X: " + "y" * 2048),
        get("/a.txt") + get("/a.txt"),
        b"nonsense\r\n\r\n",
    ],
)
def test_only_small_requests_that_stand_alone_are_remembered(server: Server, request_bytes: bytes) -> None:
    first = server.answer(request_bytes)
    asked = server.site.asked
    assert server.answer(request_bytes) == first
    assert server.site.asked == 2 * asked


def test_a_client_that_half_closes_is_told_that_the_connection_ends(server: Server) -> None:
    assert "connection" not in fields(server.answer(get("/a.txt")))
    reply = server.origin.handle(event(get("/a.txt"), end=True))
    assert fields(output(reply))["connection"] == "close"
    assert reply.end == len(output(reply))


def test_an_early_request_may_be_answered_from_memory(server: Server) -> None:
    first = server.answer(get("/a.txt"))
    assert output(server.origin.handle(event(get("/a.txt"), early=True))) == first
    assert server.site.asked == 1


def test_any_part_of_an_answer_can_be_wanted(server: Server) -> None:
    whole = server.answer(get("/a.txt"))
    for start in range(len(whole)):
        reply = server.origin.handle(event(get("/a.txt"), None, (start, start + 7), budget=5))
        assert reply.chunks == ((start, whole[start : start + 5]),)


def test_errors_are_remembered_like_answers(server: Server) -> None:
    assert [status(server.answer(get("/nothing"))) for _ in range(2)] == [404, 404]
    assert server.site.asked == 1
    write(server.root / "nothing", b"now there is")
    server.now_ns += 10_000_000
    assert status(server.answer(get("/nothing"))) == 200


def test_a_replaced_file_is_noticed_when_the_moment_is_over(server: Server) -> None:
    assert body(server.answer(get("/a.txt"))) == b"small"
    write(server.root / "a.txt", b"other")
    assert body(server.answer(get("/a.txt"))) == b"small"  # still whole, still of its tag
    server.now_ns += 10_000_000
    assert body(server.answer(get("/a.txt"))) == b"other"


def test_a_large_file_that_is_changed_in_place_is_planned_anew_at_once(server: Server) -> None:
    old = server.answer(get("/large.bin"))
    server.files.drop_caches()
    write(server.root / "large.bin", FILES["large.bin"][::-1])
    new = server.answer(get("/large.bin"))
    assert body(new) == FILES["large.bin"][::-1]
    assert fields(new)["etag"] != fields(old)["etag"]


def test_it_can_be_forgotten_at_any_time(server: Server) -> None:
    first = server.answer(get("/a.txt"))
    server.origin.drop_caches()
    assert server.answer(get("/a.txt")) == first
    assert server.site.asked == 2


@pytest.mark.slow
def test_a_memory_is_bounded(server: Server) -> None:
    for number in range(3000):
        server.answer(get("/a.txt", f"X: {number:02000}"))
    asked = server.site.asked
    server.answer(get("/a.txt", f"X: {2999:02000}"))
    assert server.site.asked == asked
    server.answer(get("/a.txt", f"X: {0:02000}"))
    assert server.site.asked == asked + 1


def test_nothing_is_refused_that_was_not_before(server: Server) -> None:
    server.answer(get("/large.bin"))
    (server.root / "large.bin").unlink()
    server.files.drop_caches()
    reply = server.origin.handle(event(get("/large.bin")))
    assert reply.refusal is not Refusal.NOT_HERE
    assert status(output(reply)) == 404


def states(server: Server) -> dict[str, Continuation | None]:
    """Where a connection may stand when a request comes that was answered a moment ago."""
    first = begun(server.origin, get("/a.txt"))[1]
    return {
        "fresh": None,
        "kept": first,
        "closed": begun(server.origin, get("/a.txt", "Connection: close"))[1],
        "of another release": first._replace(state=b"\x09" + first.state[1:]),
        "cut": first._replace(state=first.state[:3]),
        "without an end": first._replace(stop=None),
    }


@pytest.mark.parametrize("known", ["fresh", "kept", "closed", "of another release", "cut", "without an end"])
def test_from_memory_comes_what_would_come_without_it(server: Server, known: str) -> None:
    continuation = states(server)[known]
    stop = continuation.stop or 0 if continuation else 0
    given = get("/a.txt")
    events = [
        event(given, continuation, (start, start + 50), budget=budget, end=end, early=early, offset=offset)
        for start in (0, max(stop - 1, 0), stop, stop + 3)
        for budget in (7, 1000)
        for end in (False, True)
        for early in (False, True)
        for offset in (None, 0, 1000)
    ]
    assert server.origin.handle(event(given)) == server.origin.handle(event(given))
    for each in events:
        remembered = server.origin.handle(each)
        server.origin.drop_caches()
        assert remembered == server.origin.handle(each), each
        server.answer(given)
