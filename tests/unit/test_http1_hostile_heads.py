"""Heads that a careful server refuses: each with its status, the connection closed, and as early as can be."""

import pytest

from tests.support.http_heads import HOPELESS, HOSTILE, VALID, head
from trickleweb.errors import HTTPError
from trickleweb.http1 import parse_head_untrusted
from trickleweb.limits import PROGRAM_LIMITS, Limits
from trickleweb.messages import NeedMore, RequestHead


def refusal(data: bytes, limits: Limits | None = None) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        parse_head_untrusted(data, limits or Limits())
    return caught.value


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_head_is_refused_and_the_connection_closed(name: str) -> None:
    data, status = HOSTILE[name]
    error = refusal(data)
    assert (error.status, error.close) == (status, True)
    assert error.reason


@pytest.mark.parametrize("name", HOSTILE)
def test_what_follows_a_hostile_head_does_not_save_it(name: str) -> None:
    data, status = HOSTILE[name]
    assert refusal(data + b"\r\n\r\n0\r\n\r\n" + VALID["curl"]).status == status


@pytest.mark.parametrize("name", HOPELESS)
def test_what_no_byte_can_mend_is_refused_before_the_head_ends(name: str) -> None:
    data, status = HOPELESS[name]
    assert refusal(data).status == status


@pytest.mark.parametrize("name", VALID)
def test_a_valid_head_cut_at_any_byte_is_incomplete_and_nothing_else(name: str) -> None:
    data = VALID[name]
    cuts = (
        range(len(data))
        if len(data) < 1000
        else [*range(200), *range(200, len(data), 97), *range(len(data) - 8, len(data))]
    )
    for cut in cuts:
        assert isinstance(parse_head_untrusted(data[:cut]), NeedMore), data[:cut][-40:]
    assert isinstance(parse_head_untrusted(data), RequestHead)


def test_each_bound_is_exact() -> None:
    line = "GET /" + "a" * 20 + " HTTP/1.1"
    data = head("A: b", line=line)
    fields_bytes = len(data) - len(line) - 4
    exact = Limits(max_request_line_bytes=len(line), max_header_bytes=fields_bytes, max_headers=2)
    assert isinstance(parse_head_untrusted(data, exact), RequestHead)
    assert isinstance(parse_head_untrusted(b"\r\n" + data, exact), RequestHead)
    assert refusal(data, Limits(max_request_line_bytes=len(line) - 1)).status == 414
    assert refusal(data, Limits(max_header_bytes=fields_bytes - 1)).status == 431
    assert refusal(data, Limits(max_headers=1)).status == 431


def test_a_head_longer_than_all_bounds_is_never_waited_for() -> None:
    small = Limits(max_request_line_bytes=40, max_header_bytes=40)
    assert refusal(head(line="GET /") + b"x" * 200, small).status == 400
    assert refusal(b"GET / HTTP/1.1\r\n" + b"a" * 60, small).status == 431
    assert refusal(b"\r\n" + b"a" * 60, small).status == 501
    assert refusal(b"\r\nGET /" + b"a" * 60, small).status == 414


def test_the_server_may_know_other_methods() -> None:
    data = head(line="FROB / HTTP/1.1")
    request = parse_head_untrusted(data, Limits(methods=frozenset({"FROB"})))
    assert isinstance(request, RequestHead)
    assert request.method == "FROB"
    assert refusal(head(), Limits(methods=frozenset({"FROB"}))).status == 501


def test_programs_get_every_method_but_connect() -> None:
    for method in ("FROB", "get", "M-SEARCH", "TRACE", "A" * 5000):
        request = parse_head_untrusted(head(line=f"{method} / HTTP/1.1"), PROGRAM_LIMITS)
        assert isinstance(request, RequestHead)
        assert request.method == method
    assert refusal(head(line="CONNECT example.test:443 HTTP/1.1"), PROGRAM_LIMITS).status == 501
    assert refusal(head(line="F(B / HTTP/1.1"), PROGRAM_LIMITS).status == 400


def test_a_reason_never_repeats_what_the_client_sent() -> None:
    for data, _ in HOSTILE.values():
        assert len(refusal(data).reason) < 80
