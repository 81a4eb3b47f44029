"""Requests to a proxy: what goes on to the server, where each ends, and what is refused lest readers differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.gateway import heads
from trickles.gateway.heads import (
    MOST_HEAD_BYTES,
    MOST_LINE_BYTES,
    BadHead,
    HeadBuffer,
    ProxyHead,
    error_answer,
    request_head_untrusted,
)

PLAIN = b"GET http://Example.org/a?b HTTP/1.1\r\nHost: other\r\nAccept: */*\r\n\r\n"
HOST = b"\r\nHost: h\r\n\r\n"


def lines(data: bytes) -> list[bytes]:
    """What goes on to the server, for a request that is not the last one."""
    head = request_head_untrusted(data)
    assert head is not None
    return head.rendered(last=False).split(b"\r\n")[:-2]


def test_the_host_is_the_targets_and_the_rest_goes_on() -> None:
    head = request_head_untrusted(PLAIN + b"GET")
    assert head is not None
    assert (head.target, head.size_bytes) == (("example.org", 80), len(PLAIN))
    assert not head.tunnel
    assert not head.last
    assert lines(PLAIN) == [
        b"GET /a?b HTTP/1.1",
        b"Host: Example.org",
        b"Accept: */*",
        b"Via: 1.1 trickles",
        b"Connection: keep-alive",
    ]
    assert head.rendered(last=True).endswith(b"Via: 1.1 trickles\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("target", "line", "place"),
    [
        (b"http://h", b"GET / HTTP/1.1", ("h", 80)),
        (b"HTTP://h:8080?q", b"GET /?q HTTP/1.1", ("h", 8080)),
        (b"http://[2001:DB8::0:1]:81/x", b"GET /x HTTP/1.1", ("2001:db8::1", 81)),
        (b"http://h.:80/", b"GET / HTTP/1.1", ("h", 80)),
    ],
)
def test_targets(target: bytes, line: bytes, place: tuple[str, int]) -> None:
    request = b"GET " + target + b" HTTP/1.1" + HOST
    head = request_head_untrusted(request)
    assert head is not None
    assert head.target == place
    assert lines(request)[0] == line


def test_options_for_a_whole_server() -> None:
    assert lines(b"OPTIONS http://h HTTP/1.1" + HOST)[0] == b"OPTIONS * HTTP/1.1"
    assert lines(b"OPTIONS http://h/ HTTP/1.1" + HOST)[0] == b"OPTIONS / HTTP/1.1"


def test_what_concerns_this_hop_alone_stays_here() -> None:
    extra = (
        b"Proxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nConnection: X-Own, te\r\nX-Own: 1\r\nTE: gzip"
    )
    assert lines(b"GET http://h/ HTTP/1.1\r\n" + extra + b"\r\nKeep-Alive: 5\r\nUpgrade: h2c" + HOST) == [
        b"GET / HTTP/1.1",
        b"Host: h",
        b"Via: 1.1 trickles",
        b"Connection: keep-alive",
    ]


def test_connect_names_a_host_and_a_port() -> None:
    head = request_head_untrusted(b"CONNECT h:443 HTTP/1.1\r\nProxy-Connection: x\r\n\r\nTLS")
    assert head is not None
    assert head.tunnel
    assert (head.target, head.size_bytes) == (("h", 443), len(b"CONNECT h:443 HTTP/1.1\r\nProxy-Connection: x\r\n\r\n"))


@pytest.mark.parametrize(
    ("version", "fields", "body", "closes"),
    [
        (b"1.1", b"A: b", False, False),
        (b"1.0", b"A: b", False, True),
        (b"1.0", b"Proxy-Connection: Keep-Alive", False, False),
        (b"1.1", b"Connection: close", False, True),
        (b"1.1", b"Proxy-Connection: close", False, True),
        (b"1.1", b"Content-Length: 0", True, False),
        (b"1.1", b"Transfer-Encoding: Chunked", True, False),
    ],
)
def test_which_request_is_the_last_one(version: bytes, fields: bytes, body: bool, closes: bool) -> None:
    head = request_head_untrusted(b"POST http://h/ HTTP/" + version + b"\r\n" + fields + HOST)
    assert head is not None
    assert (head.body, head.closes, head.last) == (body, closes, body or closes)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1" + HOST, 400),
        (b"GET https://h/ HTTP/1.1" + HOST, 400),
        (b"GET http:///a HTTP/1.1" + HOST, 400),
        (b"GET http://u:p@h/ HTTP/1.1" + HOST, 400),
        (b"GET http://h:0/ HTTP/1.1" + HOST, 400),
        (b"GET http://h:99999/ HTTP/1.1" + HOST, 400),
        (b"GET http://h:/ HTTP/1.1" + HOST, 400),
        (b"GET http://h%41/ HTTP/1.1" + HOST, 400),
        (b"GET http://[::1/ HTTP/1.1" + HOST, 400),
        (b"GET http://h/#f HTTP/1.1" + HOST, 400),
        (b"CONNECT h HTTP/1.1" + HOST, 400),
        (b"CONNECT http://h/ HTTP/1.1" + HOST, 400),
        (b"GET  http://h/ HTTP/1.1" + HOST, 400),
        (b"GET http://h/ HTTP/1.1 " + HOST, 400),
        (b"GET http://h/ HTTP/2.0" + HOST, 505),
        (b"GET http://h/ HTTP/1.1\nHost: h\n\n\r\n\r\n", 400),
        (b"GET http://h/ HTTP/1.1\r\nA: b\r\n c" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nA : b" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nA: b\rc" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nA: b\nc" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nA: \0" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nContent-Length: +1" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked" + HOST, 400),
        (b"GET http://h/ HTTP/1.0\r\nTransfer-Encoding: chunked" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nConnection: content-length" + HOST, 400),
        (b"GET http://h/ HTTP/1.1\r\nProxy-Connection: Transfer-Encoding" + HOST, 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"\x00", 400),
        (b"{}", 400),
        (b"GET " + b"a" * MOST_LINE_BYTES, 414),
        (b"GET http://h/ HTTP/1.1\r\nA: " + b"b" * MOST_HEAD_BYTES, 431),
    ],
)
def test_what_is_refused(request_bytes: bytes, status: int) -> None:
    with pytest.raises(BadHead) as caught:
        request_head_untrusted(request_bytes)
    assert caught.value.status == status


def test_a_head_is_incomplete_up_to_its_last_byte() -> None:
    for request in (PLAIN, b"CONNECT h:443 HTTP/1.1" + HOST):
        assert [request_head_untrusted(request[:size]) for size in range(len(request))] == [None] * len(request)


@given(st.binary(max_size=200), st.integers(0, len(PLAIN)), st.integers(0, 20))
def test_whatever_comes_is_a_head_or_half_of_one_or_refused(junk: bytes, at: int, dropped: int) -> None:
    data = PLAIN[:at] + junk + PLAIN[at + dropped :]
    try:
        head = request_head_untrusted(data)
    except BadHead as error:
        error_answer(error.status, str(error))  # which knows that status
        return
    if head is not None and not head.tunnel:
        rendered = head.rendered(last=True)
        assert rendered.count(b"\r\n\r\n") == 1
        assert rendered.endswith(b"\r\n\r\n")
        assert rendered.lower().count(b"\r\nhost: ") == 1
        assert data[: head.size_bytes].endswith(b"\r\n\r\n")


@given(st.lists(st.integers(1, 9), max_size=60), st.integers(0, 3))
def test_heads_in_pieces_are_the_heads_of_the_whole(cuts: list[int], count: int) -> None:
    whole = PLAIN * count + b"GET http://h/"
    buffer, found, at = HeadBuffer(), list[ProxyHead](), 0
    for size in [*cuts, len(whole)]:
        buffer.add(whole[at : at + size])
        at += size
        while (head := buffer.head()) is not None:
            found.append(head)
            assert buffer.take(head.size_bytes) == PLAIN
    assert found == [request_head_untrusted(PLAIN)] * count
    assert (buffer.take(), len(buffer)) == (b"GET http://h/", 0)


def test_a_head_byte_by_byte_is_not_read_anew_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = list[int]()

    def look(data: bytearray) -> ProxyHead | None:
        looked.append(len(data))
        return request_head_untrusted(data)

    monkeypatch.setattr(heads, "request_head_untrusted", look)
    whole, buffer = b"GET http://h/ HTTP/1.1\r\n" + b"A: b\r\n" * 9_000 + b"\r\n", HeadBuffer()
    found = []
    for byte in whole:
        buffer.add(bytes((byte,)))
        found.append(buffer.head())
    assert found[-1] is not None
    assert found[:-1] == [None] * (len(whole) - 1)
    assert sum(looked) < 4 * len(whole)
    assert len(looked) < 20


def test_what_cannot_become_a_head_is_refused_though_its_end_never_comes() -> None:
    def read_on() -> None:
        buffer = HeadBuffer()
        buffer.add(b"GET http://h/ HTTP/1.1\r\n")
        for _ in range(3 * MOST_HEAD_BYTES // 6):
            buffer.add(b"A: b\r\n")
            assert buffer.head() is None

    with pytest.raises(BadHead, match="too long"):
        read_on()
