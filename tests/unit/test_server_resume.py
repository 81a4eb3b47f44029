"""Any replica answers any range from the state alone, or says that it cannot: never other bytes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.origins import NOW_S, FileServer, begun, body, event, fields, get, origin, output, status
from tests.support.site_folder import fill, replace, request, site, store, write
from trickles.service import Buffer, Continuation, Refusal, Reply
from trickleweb.errors import HTTPError
from trickleweb.files import FileStore, HashPending, SiteOptions, StaticSite
from trickleweb.headers import Headers
from trickleweb.http1 import render
from trickleweb.messages import Inline, Plan, RequestHead
from trickleweb.server import fixed
from trickleweb.server.limits import ServerLimits, ServiceLimits

FILES = {
    "hello.txt": b"Hello, world\n",
    "empty.txt": b"",
    "large.bin": bytes(range(256)) * 800,
    "assets/app.3f9a2b1c.js": b"x" * 3000,
    "assets/app.3f9a2b1c.js.gz": b"y" * 300,
    "404.html": b"<h1>Lost?</h1>",
}
KINDS = {
    "small file": get("/hello.txt"),
    "empty file": get("/empty.txt"),
    "large file": get("/large.bin"),
    "HEAD": get("/large.bin", method="HEAD"),
    "compressed": get("/assets/app.3f9a2b1c.js", "Accept-Encoding: gzip, br"),
    "one range": get("/large.bin", "Range: bytes=100-100099"),
    "many ranges": get("/large.bin", "Range: bytes=0-9,100-199,1000-1999,-5"),
    "past the end": get("/large.bin", "Range: bytes=999999-"),
    "not modified": get("/hello.txt", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"),
    "redirect": get("/assets"),
    "listing": get("/assets/", "Accept: text/html"),
    "page of its own": get("/nothing"),
    "method": get("/hello.txt", method="DELETE"),
    "no request": b"NONSENSE\r\n\r\n",
    "HTTP/1.0": get("/hello.txt", version="HTTP/1.0"),
    "kept HTTP/1.0": get("/hello.txt", "Connection: keep-alive", version="HTTP/1.0"),
}
LISTED = SiteOptions(listing=True)


def two(tmp_path: Path, options: SiteOptions = LISTED) -> tuple[FileServer, FileServer]:
    """Two replicas over copies of the same tree, whose clocks are an hour apart."""
    roots = [fill(tmp_path / name, FILES) for name in ("a", "b")]
    late = lambda: NOW_S + 3600  # noqa: E731
    return origin(roots[0], options), origin(roots[1], options, now_s=late)


@pytest.mark.parametrize("kind", KINDS)
def test_another_replica_goes_on_with_the_same_bytes(tmp_path: Path, kind: str) -> None:
    first, second = two(tmp_path)
    response, known = begun(first, KINDS[kind])
    assert output(second.handle(event(b"", known))) == response
    for cut in {1, len(response) // 2, len(response) - 1, response.find(b"\r\n\r\n") + 4}:
        left, right = (0, cut), (cut, len(response))
        assert output(second.handle(event(b"", known, left))) == response[:cut]
        assert output(first.handle(event(b"", known, right))) == response[cut:]


@pytest.mark.slow
def test_every_range_of_a_response_is_what_it_was(tmp_path: Path) -> None:
    servers = two(tmp_path)
    _, before = begun(servers[0], get())
    response, known = begun(servers[0], KINDS["many ranges"], before)
    base = known.start

    @given(
        st.lists(st.tuples(st.integers(0, base + 5000), st.integers(0, 2000)), max_size=5),
        st.integers(0, 5000),
        st.sampled_from(servers),
    )
    @settings(max_examples=200, deadline=None)
    def check(wanted: list[tuple[int, int]], budget: int, server: FileServer) -> None:
        wants = tuple((start, start + size) for start, size in wanted)
        reply = server.handle(event(b"", known, *(wants or [(0, 0)]), budget=budget))
        clipped = [(max(start, base), min(stop, base + len(response))) for start, stop in wants]
        expected = b"".join(response[start - base : stop - base] for start, stop in clipped if start < stop)
        assert b"".join(bytes(data) for _, data in reply.chunks) == expected[:budget]
        assert all(response[at - base :].startswith(bytes(data)) for at, data in reply.chunks)

    check()


def test_states_are_small(tmp_path: Path) -> None:
    server, _ = two(tmp_path)
    sizes = {kind: len(begun(server, request)[1].state) for kind, request in KINDS.items()}
    assert max(sizes.values()) <= 700
    usual = {kind: size for kind, size in sizes.items() if kind not in {"many ranges", "listing"}}
    assert max(usual.values()) < 200, usual


def test_the_clock_is_read_once_a_response(tmp_path: Path) -> None:
    seconds = iter(range(NOW_S, NOW_S + 10))
    server = origin(fill(tmp_path, FILES), now_s=lambda: next(seconds))
    first, known = begun(server, get("/hello.txt"))
    second, _ = begun(server, get("/hello.txt"), known)
    assert [fields(each)["date"][-6:] for each in (first, second)] == ["20 GMT", "21 GMT"]
    server.drop_caches()
    assert output(server.handle(event(b"", known))) == first


@pytest.mark.parametrize("change", [b"new content", b"Hello, World\n"])
def test_another_version_is_never_mixed_in(tmp_path: Path, change: bytes) -> None:
    first, _ = two(tmp_path)
    response, known = begun(first, get("/hello.txt"))
    replace(tmp_path / "b" / "hello.txt", change)
    other = origin(tmp_path / "b", LISTED)
    head = response.find(b"\r\n\r\n") + 4
    assert output(other.handle(event(b"", known, (0, head)))) == response[:head]
    assert other.handle(event(b"", known, (0, head + 1))) == Reply(refusal=Refusal.NOT_HERE)
    assert other.handle(event(b"", known, (head + 3, head + 4))) == Reply(refusal=Refusal.NOT_HERE)
    assert output(first.handle(event(b"", known))) == response


def test_a_file_that_is_gone_is_not_here(tmp_path: Path) -> None:
    first, _ = two(tmp_path)
    _, known = begun(first, get("/large.bin"))
    (tmp_path / "b" / "large.bin").unlink()
    assert origin(tmp_path / "b").handle(event(b"", known)).refusal is Refusal.NOT_HERE


@pytest.mark.parametrize("state", [b"", b"\x01", b"\x07nonsense", bytes(700), b"\x02" + bytes(40), b"\x01" + bytes(30)])
def test_a_state_of_another_release_is_not_here(tmp_path: Path, state: bytes) -> None:
    server, _ = two(tmp_path)
    assert server.handle(event(get(), Continuation(state, 0, 100, 0))) == Reply(refusal=Refusal.NOT_HERE)


def test_a_state_that_is_cut_or_changed_never_raises(tmp_path: Path) -> None:
    server, _ = two(tmp_path)
    for kind in ("small file", "HEAD", "listing"):
        _, known = begun(server, KINDS[kind])
        for at in range(len(known.state)):
            flipped = bytes((*known.state[:at], known.state[at] ^ 0x55, *known.state[at + 1 :]))
            for state in (known.state[:at], flipped):
                assert isinstance(
                    server.handle(event(b"", Continuation(state, known.start, known.stop, known.consumed))), Reply
                )


def test_a_release_that_renders_heads_otherwise_goes_on_with_bodies_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two(tmp_path)
    response, known = begun(first, get("/hello.txt"))
    head = response.find(b"\r\n\r\n") + 4
    monkeypatch.setattr(render, "SERVER", "another")
    monkeypatch.setattr(fixed, "render_head", render.render_head.__wrapped__)  # another release has its own memory
    assert output(second.handle(event(b"", known, (head, 10_000)))) == response[head:]
    assert second.handle(event(b"", known, (head - 1, head + 1))).refusal is Refusal.NOT_HERE


def test_a_response_too_large_to_be_held_is_planned_again(tmp_path: Path) -> None:
    names = {f"{at:03} {at**7 % 99_991:05}.txt": b"" for at in range(300)}
    roots = [fill(tmp_path / name, names) for name in ("a", "b")]
    first, second = (origin(root, LISTED) for root in roots)
    cookie = "Cookie: " + "".join(f"{at**9 % 99_989:05}" for at in range(500))
    response, known = begun(first, get("/?order=size", cookie, "Accept: text/html"))
    assert len(response) > 10_000
    assert len(known.state) < 200
    assert output(second.handle(event(b"", known, (0, 5000)))) == response[:5000]
    second.drop_caches()
    write(roots[1] / "one more.txt", b"")
    assert second.handle(event(b"", known, (0, 5000))).refusal is Refusal.NOT_HERE


def test_a_response_that_cannot_be_held_at_all_is_an_error(tmp_path: Path) -> None:
    server, _ = two(tmp_path)
    errors: list[Exception] = []
    server.report_errors(errors.append)
    noise = "".join(f"{at**9 % 999_983:06}" for at in range(600))
    reply = server.handle(event(get(f"/assets?{noise}")))
    assert status(output(reply)) == 500
    assert reply.end == len(output(reply))
    assert len(errors) == 1


class Odd:
    """A site that answers what a test says, or raises it."""

    def __init__(self, files: FileStore, *answers: Plan | Exception) -> None:
        self.files = files
        self.answers = list(answers)

    def plan(self, request: RequestHead) -> Plan:
        """The next answer, the last one for good."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def error_page(self, error: HTTPError) -> Plan | None:
        """None."""
        return None

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """As the files'."""
        return self.files.read(content, start, stop)

    def strong_name(self, content: str) -> str | None:
        """As the files'."""
        return self.files.strong_name(content)


def odd(tmp_path: Path, *answers: Plan | Exception) -> FileServer:
    return FileServer(Odd(store(fill(tmp_path, FILES)), *answers), clock_us=lambda: NOW_S * 1_000_000)


def test_a_site_that_raises_is_a_500(tmp_path: Path) -> None:
    errors: list[Exception] = []
    server = odd(tmp_path, KeyError("oops"), Plan(200, Headers((("X", "a\nb"),))))
    server.report_errors(errors.append)
    for _ in range(2):
        response, _ = begun(server, get())
        assert status(response) == 500
        assert b"oops" not in response
    assert [type(each).__name__ for each in errors] == ["KeyError", "UnsafeHeader"]


def test_what_is_not_hashed_yet_is_asked_for_again(tmp_path: Path) -> None:
    server = odd(tmp_path, HashPending("soon"), HashPending("soon"), Plan(200, pieces=(Inline(b"now"),)))
    assert server.handle(event(get(), early=True)) == Reply()
    assert server.handle(event(get())) == Reply(refusal=Refusal.BUSY)
    assert body(begun(server, get())[0]) == b"now"


def test_a_file_replaced_while_its_response_begins_is_planned_again(tmp_path: Path) -> None:
    contents = store(fill(tmp_path, FILES))
    server = origin(tmp_path, files=contents)
    stale = begun(server, get("/large.bin"))[1]
    replace(tmp_path / "large.bin", b"fresh" * 20_000)
    contents.drop_caches()
    assert server.handle(event(b"", stale)).refusal is Refusal.NOT_HERE
    assert body(begun(server, get("/large.bin"))[0]) == b"fresh" * 20_000


def test_a_file_that_never_stands_still_is_a_refusal(tmp_path: Path) -> None:
    server = odd(tmp_path / "b", site(fill(tmp_path / "a", FILES)).plan(request("/hello.txt")))
    (tmp_path / "b" / "hello.txt").unlink()
    assert server.handle(event(get())) == Reply(refusal=Refusal.BUSY)


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    limits = ServerLimits(remembered_bytes=10_000)
    site = StaticSite(store(fill(tmp_path, FILES)))
    server = FileServer(site, clock_us=lambda: NOW_S * 1_000_000, limits=ServiceLimits(server=limits))
    for at in range(100):
        begun(server, get(f"/{at}"))
    planner = server._planner
    assert planner is not None
    assert len(server._responses) < 10
    assert len(planner._made) < 10
