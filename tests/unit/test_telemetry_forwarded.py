"""Whose word about clients is taken, and what is made of it."""

from typing import Any

import pytest

from tests.support.web import request, run
from trickleweb import App, Request, Response
from trickleweb.telemetry import Forwarded, trusted
from trickleweb.telemetry.forwarded import BadNetworks

PROXY = "192.0.2.1"


def seen(peers: str, *fields: tuple[str, str], peer: str = PROXY) -> str:
    """What the application sees: client, scheme and host."""

    class Telling(App):
        async def respond(self, request: Request) -> Response:
            return Response.text(f"{request.setting.peer} {request.scheme} {request.host}")

    async def ask() -> Response:
        return await Forwarded(Telling(), trusted(peers)).respond(request("GET", "/", *fields, peer=peer))

    body: Any = run(ask()).body
    text: str = body.data.decode()
    return text


TOLD = (("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "Shop.example:444"))


@pytest.mark.parametrize("peers", [PROXY, "192.0.2.0/24", "*", f"::1, {PROXY}"])
def test_the_word_of_a_trusted_peer_counts(peers: str) -> None:
    assert seen(peers, *TOLD) == "198.51.100.7 https shop.example:444"


@pytest.mark.parametrize("peers", ["", "192.0.2.2", "::1"])
def test_that_of_any_other_does_not(peers: str) -> None:
    assert seen(peers, *TOLD) == f"{PROXY} http example.org"


def test_a_peer_over_ipv6_may_be_one_of_ipv4() -> None:
    assert seen(PROXY, *TOLD, peer="::ffff:192.0.2.1").startswith("198.51.100.7 ")


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),  # what the client itself sent comes first
        ("203.0.113.9, 198.51.100.7, 192.0.2.2", "198.51.100.7"),  # a second proxy of ours
        ("192.0.2.3, 192.0.2.2", "192.0.2.3"),  # nobody but proxies
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("nonsense", PROXY),
        ("203.0.113.9, nonsense", PROXY),
        ("", PROXY),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxys(value: str, client: str) -> None:
    assert seen("192.0.2.0/24", ("X-Forwarded-For", value)).split()[0] == client


def test_several_fields_are_one_list() -> None:
    fields = (("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.7"))
    assert seen(PROXY, *fields).split()[0] == "198.51.100.7"


@pytest.mark.parametrize(
    ("fields", "scheme", "host"),
    [
        ([("X-Forwarded-Proto", "http, https")], "https", "example.org"),
        ([("X-Forwarded-Proto", "HTTPS")], "https", "example.org"),
        ([("X-Forwarded-Proto", "gopher")], "http", "example.org"),
        ([("X-Forwarded-Host", "a.example, b.example")], "http", "b.example"),
        ([("X-Forwarded-Host", "a b")], "http", "example.org"),
        ([("X-Forwarded-Host", "user@evil")], "http", "example.org"),
    ],
)
def test_scheme_and_host_are_the_nearest_proxys_or_left_alone(
    fields: list[tuple[str, str]], scheme: str, host: str
) -> None:
    assert seen(PROXY, *fields) == f"{PROXY} {scheme} {host}"


@pytest.mark.parametrize("text", ["localhost", "300.0.0.1", "10.0.0.1/8", "a,b"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(BadNetworks):
        trusted(text)
