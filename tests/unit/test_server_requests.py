"""What input leads to: requests taken one by one, connections kept or closed, half-closes, early data, errors."""

import itertools
from pathlib import Path

import pytest

from tests.support.http_heads import HOPELESS, HOSTILE, VALID
from tests.support.origins import NOW_S, FileServer, begun, body, event, fields, get, origin, output, spool, status
from tests.support.site_folder import fill, store
from trickles.service import Reply
from trickleweb.files import StaticSite
from trickleweb.server import Answered, Repeats

HELLO = b"Hello, world\n"


@pytest.fixture
def server(tmp_path: Path) -> FileServer:
    return origin(fill(tmp_path, {"hello.txt": HELLO, "index.html": b"<h1>Home</h1>", "large.bin": bytes(200_000)}))


def test_a_request_is_answered_and_consumed(server: FileServer) -> None:
    request = get("/hello.txt")
    reply = server.handle(event(request))
    response = output(reply)
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body(response) == HELLO
    assert fields(response)["content-length"] == "13"
    assert fields(response)["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert reply.end is None
    assert reply.continuation is not None
    known = reply.continuation
    assert (known.start, known.stop, known.consumed) == (0, len(response), len(request))
    assert server.statuses == {200: 1}


def test_a_head_cut_anywhere_waits_for_the_rest(server: FileServer) -> None:
    request = get("/hello.txt", "Accept: */*")
    for cut in range(len(request)):
        assert server.handle(event(request[:cut])) == Reply(), cut
    assert body(begun(server, request)[0]) == HELLO


def test_a_head_cut_anywhere_and_ended_is_refused(server: FileServer) -> None:
    request = get("/hello.txt")
    assert server.handle(event(b"", end=True)) == Reply(end=0)
    assert server.handle(event(b"\r\n", end=True)) == Reply(end=0)
    for cut in range(1, len(request)):
        reply = server.handle(event(request[:cut], end=True))
        response = output(reply)
        assert status(response) == 400, cut
        assert fields(response)["connection"] == "close"
        assert reply.end == len(response)


@pytest.mark.parametrize(("seconds", "expected"), [(0, 400), (1, 400), (2, 408), (3600, 408), (-3600, 400)])
@pytest.mark.parametrize("rest", ["", "Content-Length: 10\r\n\r\nbody"])
def test_what_took_too_long_is_told_from_what_was_broken_off(
    tmp_path: Path, seconds: int, expected: int, rest: str
) -> None:
    """A gateway ends the input of a request that does not get on; a client that closes its half does so at once."""
    clock = [NOW_S]
    server = origin(fill(tmp_path, {"hello.txt": HELLO}), now_s=lambda: clock[0])
    given = get("/hello.txt")[:-2] + rest.encode()
    for cut in (5, len(given)):
        assert server.handle(event(given[:cut])) == Reply()
    clock[0] += seconds
    assert status(output(server.handle(event(given, end=True)))) == expected


def test_pipelined_requests_are_taken_one_at_a_time(server: FileServer) -> None:
    first, second = get("/hello.txt"), get("/")
    one, known = begun(server, first + second)
    assert body(one) == HELLO
    assert known.consumed == len(first)
    two, last = begun(server, second, known)
    assert body(two) == b"<h1>Home</h1>"
    assert (last.start, last.consumed) == (known.stop, len(first + second))


def test_input_that_was_consumed_and_comes_again_is_skipped(server: FileServer) -> None:
    first, second = get("/hello.txt"), get("/")
    _, known = begun(server, first)
    again = server.handle(event(first + second, known, offset=0))
    assert again.continuation is not None
    assert again.continuation.consumed == len(first + second)
    assert server.handle(event(first, known, offset=0)).continuation is None


def test_input_with_a_gap_before_it_is_ignored(server: FileServer) -> None:
    _, known = begun(server, get("/hello.txt"))
    reply = server.handle(event(get("/"), known, offset=known.consumed + 1, end=True))
    assert (reply.continuation, reply.end) == (None, None)


@pytest.mark.parametrize(
    ("request_", "closes", "header"),
    [
        (get(), False, None),
        (get("/", "Connection: close"), True, "close"),
        (get(version="HTTP/1.0"), True, "close"),
        (get("/", "Connection: keep-alive", version="HTTP/1.0"), False, "keep-alive"),
        (get("/nothing"), False, None),
        (get("/", method="POST"), False, None),
        (get("/", method="BREW"), True, "close"),  # a head that is not understood may have a body
    ],
)
def test_the_connection_lasts_as_the_request_says(
    server: FileServer, request_: bytes, closes: bool, header: str | None
) -> None:
    reply = server.handle(event(request_))
    response = output(reply)
    assert fields(response).get("connection") == header
    assert reply.end == (len(response) if closes else None)


def test_nothing_is_read_behind_the_last_response(server: FileServer) -> None:
    _, known = begun(server, get("/", "Connection: close") + get("/hello.txt"))
    reply = server.handle(event(get("/hello.txt"), known, (0, 20)))
    assert (output(reply), reply.continuation, reply.end) == (b"HTTP/1.1 200 OK\r\nCon", None, known.stop)


def test_a_client_that_half_closes_behind_its_request_gets_its_response_and_the_end(server: FileServer) -> None:
    reply = server.handle(event(get("/hello.txt"), end=True))
    response = output(reply)
    assert (body(response), reply.end) == (HELLO, len(response))
    assert fields(response)["connection"] == "close"


def test_only_the_last_of_pipelined_requests_ends_a_half_closed_connection(server: FileServer) -> None:
    reply = server.handle(event(get("/hello.txt") + get("/"), end=True))
    assert (fields(output(reply)).get("connection"), reply.end) == (None, None)
    reply = server.handle(event(get("/"), reply.continuation, end=True))
    assert reply.continuation is not None
    assert reply.end == reply.continuation.stop


def test_a_client_that_half_closes_later_gets_the_end_of_the_last_response(server: FileServer) -> None:
    response, known = begun(server, get("/hello.txt"))
    reply = server.handle(event(b"", known, (10, 20), end=True))
    assert (output(reply), reply.end, reply.continuation) == (response[10:20], known.stop, None)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_unsafe_methods_do_not_run_early(server: FileServer, method: str) -> None:
    request = get("/hello.txt", method=method)
    assert server.handle(event(request, early=True)) == Reply()
    assert status(begun(server, request)[0]) == 405


@pytest.mark.parametrize(("method", "expected"), [("GET", 200), ("HEAD", 200), ("OPTIONS", 204)])
def test_safe_methods_run_early(server: FileServer, method: str, expected: int) -> None:
    assert status(output(server.handle(event(get("/hello.txt", method=method), early=True)))) == expected


def test_head_is_answered_like_get_without_the_body(server: FileServer) -> None:
    whole, _ = begun(server, get("/hello.txt"))
    head, known = begun(server, get("/hello.txt", method="HEAD"))
    assert head == whole[: -len(HELLO)]
    server.drop_caches()
    assert output(server.handle(event(b"", known))) == head


@pytest.mark.parametrize("name", VALID)
def test_a_sound_head_gets_a_response(server: FileServer, name: str) -> None:
    reply = server.handle(event(VALID[name], end=True))
    assert status(output(reply)) in {200, 204, 400, 404, 405}


@pytest.mark.parametrize("name", HOSTILE | HOPELESS)
def test_a_hostile_head_gets_its_status_and_the_end(server: FileServer, name: str) -> None:
    head, expected = (HOSTILE | HOPELESS)[name]
    reply = server.handle(event(head))
    response = output(reply)
    assert status(response) == expected
    assert fields(response)["connection"] == "close"
    assert reply.end == len(response)
    assert reply.continuation is not None
    assert reply.continuation.consumed == len(head)


def test_the_error_for_head_has_no_body(server: FileServer) -> None:
    response = output(server.handle(event(get("/", "Content-Length: 1", "Content-Length: 2", method="HEAD"))))
    assert (status(response), body(response)) == (400, b"")


def test_a_head_from_the_spool_is_read_whole(server: FileServer) -> None:
    request = get("/hello.txt", *(f"X-Long-{at}: {'x' * 1000}" for at in range(50)))
    for size_bytes in (50, len(request) - 1):
        assert server.handle(event(request[:50], spooled=spool(request[:size_bytes]))) == Reply()
    reply = server.handle(event(request[:1000], spooled=spool(request + get())))
    assert body(output(reply)) == HELLO
    assert reply.continuation is not None
    assert reply.continuation.consumed == len(request)


def test_who_observes_is_told_of_each_response_that_begins(tmp_path: Path) -> None:
    contents, seen, clock = store(fill(tmp_path, {"a": b"text"})), list[Answered](), itertools.count(5_000_000, 100)
    server = FileServer(
        StaticSite(contents),
        repeats=Repeats(lambda: 10**18),
        observe=seen.append,
        clock_us=lambda: next(clock),
    )
    server.handle(event(get("/a")))
    server.handle(event(get("/a")))  # from the memory of a moment ago
    server.handle(event(get("/b")))
    server.handle(event(b"nonsense\r\n\r\n"))
    told = [(each.head and each.head.target, each.status, each.body_bytes, each.took_us) for each in seen]
    # the clock goes on by 100 at each look; a Date takes one, and a repeat has its Date
    assert told[:3] == [("/a", 200, 4, 200), ("/a", 200, 4, 100), ("/b", 404, told[2][2], 200)]
    assert (told[3][:2], len(seen)) == ((None, 400), 4)
    assert seen[0].began_us == 5_000_000


def test_a_log_that_cannot_be_written_is_no_reason_to_fail_a_request(tmp_path: Path) -> None:
    def observe(_: Answered) -> None:
        raise OSError("full")

    contents, errors = store(fill(tmp_path, {"a": b"text"})), list[Exception]()
    server = FileServer(StaticSite(contents), clock_us=lambda: NOW_S * 1_000_000, observe=observe)
    server.report_errors(errors.append)
    assert b"200 OK" in output(server.handle(event(get("/a"))))
    assert [str(error) for error in errors] == ["full"]
