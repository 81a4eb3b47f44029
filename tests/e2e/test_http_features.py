"""HTTP as sockets see it, through a gateway and replicas that take turns by the packet: one row for each feature."""

import gzip
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import urlsplit

import pytest

from tests.support.processes import PATIENCE_SECONDS, received
from tests.support.served import Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

TEXT = b"Hello, world\n"
PAGE = b"<h1>Home</h1>" * 100
PACKED = gzip.compress(PAGE, mtime=0)
LARGE = os.urandom(500_000)
MODIFIED = 1_700_000_000
LAST_MODIFIED = formatdate(MODIFIED, usegmt=True)
LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"
FILES = {
    "text.txt": TEXT,
    "index.html": PAGE,
    "index.html.gz": PACKED,
    "large.bin": LARGE,
    "assets/app-BZ4kq8sR.js": b"1",
    "list/a b.txt": b"22",
    "404.html": b"<p>nothing",
    ".env": b"secret",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    fields: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("features")
    for name, content in FILES.items():
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (MODIFIED, MODIFIED))
    (folder / "site" / "out").symlink_to("/etc/passwd")
    words = ("--replicas", 2, "--policy", "spray", "--listing", "--fallback", "index.html")
    with served(folder / "site", folder / "run", *words) as started:
        yield started


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request."""
    return "\r\n".join((f"{method} {target} HTTP/{version}", "Host: example.org", *fields, "", "")).encode("latin-1")


def dial(fleet: Served) -> socket.socket:
    """A connection to the gateway."""
    place = urlsplit(fleet.url)
    return socket.create_connection((place.hostname, place.port), PATIENCE_SECONDS)


def asked(fleet: Served, *requests: bytes) -> list[Answer]:
    """The answers to requests that are sent at once on one connection, which then half-closes."""
    with closing(dial(fleet)) as connection:
        connection.sendall(b"".join(requests))
        connection.shutdown(socket.SHUT_WR)
        return answers(received(connection), [request.split(b" ", 1)[0] for request in requests])


def answers(data: bytes, methods: Sequence[bytes]) -> list[Answer]:
    """The responses to requests with these methods, of which there are no more and no fewer."""
    found = []
    for method in methods:
        head, _, data = data.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        status = int(line.split(" ")[1])
        size = 0 if method == b"HEAD" or status in {204, 304} else int(fields["content-length"])
        found.append(Answer(status, fields, data[:size]))
        data = data[size:]
    assert data == b""
    return found


def etag(fleet: Served, path: str, *fields: str) -> str:
    """The file's tag, without quotes."""
    return asked(fleet, get(path, *fields))[0].fields["etag"].strip('"')


PLAIN = {"accept-ranges": "bytes", "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
CLOSED, APPLICATION = {"connection": "close"}, {"vary": "Accept, Accept-Encoding"}
PACKED_OR_NOT: dict[str, str | None] = {"vary": "Accept-Encoding"}
NOT_CODED: dict[str, str | None] = {"content-encoding": None}
ROWS: dict[str, tuple[bytes, int, Mapping[str, str | None], bytes | None]] = {
    "whole": (get("/text.txt"), 200, {**PLAIN, "last-modified": LAST_MODIFIED, "cache-control": "no-cache"}, TEXT),
    "absolute form": (get("http://other.example/text.txt"), 200, PLAIN, TEXT),
    "HEAD": (get("/text.txt", method="HEAD"), 200, {"content-length": "13"}, b""),
    "OPTIONS": (get("/text.txt", method="OPTIONS"), 204, {"allow": "GET, HEAD, OPTIONS"}, b""),
    "OPTIONS *": (get("*", method="OPTIONS"), 204, {"allow": "GET, HEAD, OPTIONS"}, b""),
    "POST": (get("/text.txt", method="POST"), 405, {"allow": "GET, HEAD, OPTIONS"}, None),
    "unknown method": (get("/", method="BREW"), 501, CLOSED, None),
    "1.0": (get("/text.txt", version="1.0"), 200, CLOSED, TEXT),
    "2.0": (get("/", version="2.0"), 505, CLOSED, None),
    "other expectation": (get("/", "Expect: tea"), 417, CLOSED, None),
    "early expectation": (get("/text.txt", "Expect: 100-continue", "Content-Length: 9"), 200, CLOSED, TEXT),
    "nothing there": (get("/nothing.txt"), 404, {"cache-control": "no-store"}, b"<p>nothing"),
    "hidden": (get("/.env"), 404, {}, b"<p>nothing"),
    "link out of the root": (get("/out"), 404, {}, b"<p>nothing"),
    "climbing": (get("/../../etc/passwd"), 400, {}, None),
    "climbing in disguise": (get("/%2e%2e/%2e%2e/etc/passwd"), 400, {}, None),
    "NUL": (get("/text.txt%00.html"), 400, {}, None),
    "long name": (get("/" + "a" * 300), 404, {}, None),
    "long path": (get("/a" * 3000), 414, {}, None),
    "folder without slash": (get("/list?x=1"), 301, {"location": "/list/?x=1"}, b""),
    "double slash": (get("//list//a%20b.txt"), 301, {"location": "/list/a%20b.txt"}, b""),
    "immutable": (get("/assets/app-BZ4kq8sR.js"), 200, {"cache-control": "public, max-age=31536000, immutable"}, b"1"),
    "packed": (get("/", "Accept-Encoding: br, gzip"), 200, PACKED_OR_NOT | {"content-encoding": "gzip"}, PACKED),
    "not packed": (get("/", "Accept-Encoding: gzip;q=0"), 200, PACKED_OR_NOT | NOT_CODED, PAGE),
    "route of an application": (get("/some/route", "Accept: text/html"), 200, APPLICATION, PAGE),
    "asset of an application": (get("/some/app.js", "Accept: text/html"), 404, {}, b"<p>nothing"),
    "data of an application": (get("/some/data", "Accept: */*"), 404, {}, b"<p>nothing"),
    "modified since": (get("/text.txt", f"If-Modified-Since: {LONG_AGO}"), 200, {}, TEXT),
    "not modified since": (get("/text.txt", f"If-Modified-Since: {LAST_MODIFIED}"), 304, {"content-length": None}, b""),
    "modified after all": (get("/text.txt", f"If-Unmodified-Since: {LONG_AGO}"), 412, {}, None),
    "any version": (get("/text.txt", "If-Match: *"), 200, {}, TEXT),
    "none at all": (get("/text.txt", "If-None-Match: *"), 304, {}, b""),
    "one byte": (get("/text.txt", "Range: bytes=0-0"), 206, {"content-range": "bytes 0-0/13"}, b"H"),
    "last bytes": (get("/text.txt", "Range: bytes=-6"), 206, {"content-range": "bytes 7-12/13"}, TEXT[7:]),
    "more than there is": (get("/text.txt", "Range: bytes=-99"), 206, {"content-range": "bytes 0-12/13"}, TEXT),
    "merged": (get("/text.txt", "Range: bytes=0-4,3-6"), 206, {"content-range": "bytes 0-6/13"}, TEXT[:7]),
    "too many": (get("/text.txt", "Range: bytes=" + ",".join(["0-0,2-2"] * 200)), 200, {"content-range": None}, TEXT),
    "malformed": (get("/text.txt", "Range: bytes=4-2"), 200, {"content-range": None}, TEXT),
    "beyond": (get("/text.txt", "Range: bytes=13-"), 416, {"content-range": "bytes */13"}, None),
    "same date": (get("/text.txt", "Range: bytes=0-0", f"If-Range: {LAST_MODIFIED}"), 206, {}, b"H"),
    "other date": (get("/text.txt", "Range: bytes=0-0", f"If-Range: {LONG_AGO}"), 200, {}, TEXT),
    "range of a large file": (get("/large.bin", "Range: bytes=1000-400000"), 206, {}, LARGE[1000:400_001]),
    "both lengths": (get("/", "Content-Length: 5", "Transfer-Encoding: chunked"), 400, CLOSED, None),
    "folded field": (get("/", "X: a\r\n b"), 400, CLOSED, None),
    "bare LF": (get("/", "X: a\nY: b"), 400, CLOSED, None),
    "control byte": (get("/", "X: a\x07"), 400, CLOSED, None),
    "two hosts": (get("/", "Host: b"), 400, CLOSED, None),
    "chunked in 1.0": (get("/", "Transfer-Encoding: chunked", version="1.0"), 400, CLOSED, None),
    "bad chunk": (get("/", "Transfer-Encoding: chunked") + b"x\r\n", 400, CLOSED, None),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_feature(fleet: Served, name: str) -> None:
    request, status, fields, body = ROWS[name]
    (answer,) = asked(fleet, request)
    assert answer.status == status
    assert {field: answer.fields.get(field) for field in fields} == fields
    assert body is None or answer.body == body
    assert {"date", "server"} <= answer.fields.keys()


def test_a_connection_of_1_0_is_kept_for_the_next_request_if_its_client_wants_that(fleet: Served) -> None:
    last = get("/text.txt", version="1.0")
    first, second = asked(fleet, get("/text.txt", "Connection: keep-alive", version="1.0"), last)
    assert (first.status, first.fields["connection"], first.body) == (200, "keep-alive", TEXT)
    assert (second.status, second.fields["connection"], second.body) == (200, "close", TEXT)


def test_tags_tell_versions_and_codings_apart(fleet: Served) -> None:
    plain, packed = etag(fleet, "/"), etag(fleet, "/", "Accept-Encoding: gzip")
    assert plain != packed
    tags = {f'"{plain}"': 304, f'"x", W/"{plain}"': 304, f'"{packed}"': 200, "x": 200}
    assert {tag: asked(fleet, get("/", f"If-None-Match: {tag}"))[0].status for tag in tags} == tags
    strong = {f'"x", "{plain}"': 200, f'W/"{plain}"': 412, f'"{packed}"': 412}
    assert {tag: asked(fleet, get("/", f"If-Match: {tag}"))[0].status for tag in strong} == strong
    ranges = {f'"{plain}"': 206, f'W/"{plain}"': 200, f'"{packed}"': 200}
    found = {tag: asked(fleet, get("/", "Range: bytes=0-0", f"If-Range: {tag}"))[0].status for tag in ranges}
    assert found == ranges


def test_several_ranges_come_as_parts(fleet: Served) -> None:
    (answer,) = asked(fleet, get("/text.txt", "Range: bytes=7-11,0-4"))
    kind, _, boundary = answer.fields["content-type"].partition("; boundary=")
    assert (answer.status, kind) == (206, "multipart/byteranges")
    nothing, *parts, last = answer.body.split(f"--{boundary}".encode())
    assert (nothing, last) == (b"", b"--\r\n")
    assert [part.partition(b"\r\n\r\n")[2] for part in parts] == [b"world\r\n", b"Hello\r\n"]
    assert [b"Content-Range: bytes 7-11/13" in parts[0], b"Content-Range: bytes 0-4/13" in parts[1]] == [True, True]


def test_a_folder_is_listed_for_eyes_and_for_programs(fleet: Served) -> None:
    (page,) = asked(fleet, get("/list/"))
    assert b'href="./a%20b.txt"' in page.body
    (data,) = asked(fleet, get("/list/", "Accept: application/json"))
    (entry,) = json.loads(data.body)["entries"]
    assert entry == {"name": "a b.txt", "type": "file", "mtime": MODIFIED, "size": 2}


def test_requests_in_a_row_are_answered_in_order(fleet: Served) -> None:
    row = [get("/text.txt"), get("/nothing.txt"), get("/large.bin"), get("/", method="HEAD")]
    row += [get("/text.txt", "Content-Length: 5") + b"GET /", get("/text.txt", "Connection: close")]
    found = asked(fleet, *row)
    assert [answer.status for answer in found] == [200, 404, 200, 200, 200, 200]
    assert [answer.body for answer in found] == [TEXT, b"<p>nothing", LARGE, b"", TEXT, TEXT]
    assert [answer.fields.get("connection") for answer in found] == [*[None] * 5, "close"]


def test_a_connection_is_kept_until_somebody_ends_it(fleet: Served) -> None:
    with closing(dial(fleet)) as connection:
        for _ in range(3):
            connection.sendall(get("/text.txt", "Connection: keep-alive", version="1.0"))
            data = b""
            while not data.endswith(TEXT):
                data += connection.recv(65_536)
            assert b"\r\nConnection: keep-alive\r\n" in data
        connection.sendall(get("/text.txt", "Connection: close") + get("/large.bin"))
        assert answers(received(connection), [b"GET"])[0].body == TEXT


def test_who_waits_before_a_body_that_nobody_wants_is_told_at_once(fleet: Served) -> None:
    with closing(dial(fleet)) as connection:
        connection.sendall(get("/text.txt", "Expect: 100-continue", "Content-Length: 9", method="PUT"))
        (answer,) = answers(received(connection), [b"PUT"])
        assert (answer.status, answer.fields["connection"]) == (405, "close")
