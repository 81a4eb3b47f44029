"""Requests in states: retold exactly, bounded, and never longer or shorter for what their secrets are like."""

import zlib

import pytest

from tests.support.origins import event, get, output
from tests.support.programs import Fleet, asked, begun, with_fleet
from trickleweb import App, Request, Response
from trickleweb.server.errors import NotThisResponse
from trickleweb.server.limits import DEFAULT_SERVER_LIMITS
from trickleweb.server.tokens.request import RequestTooLong, packed, stored, stored_key, unpacked

BROWSER = get(
    "/search?q=words",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Cookie: session=0123456789abcdef",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Upgrade-Insecure-Requests: 1",
)


def test_a_browsers_request_is_told_in_half_its_length() -> None:
    state = packed(BROWSER)
    assert state is not None
    assert len(state) < len(BROWSER) / 2
    assert unpacked(state) == BROWSER


def test_every_cut_and_every_change_is_a_request_or_none() -> None:
    state = packed(BROWSER)
    assert state is not None
    refused = 0
    for at in range(len(state)):
        for changed in (state[:at], bytes((*state[:at], state[at] ^ 0xFF, *state[at + 1 :]))):
            try:
                assert len(unpacked(changed)) < 1 << 17
            except NotThisResponse:
                refused += 1
    assert refused > len(state) / 2


def test_a_state_that_would_unfold_without_end_is_cut() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(b"a\r\n" * 3_000_000) + packer.flush()
    state = b"t" + (8).to_bytes(2, "big") + b"\xff" + len(bomb[:65_535]).to_bytes(2, "big") + bomb[:65_535]
    assert len(unpacked(state)) < 1 << 16


@pytest.mark.parametrize(
    "secret", ["Cookie: key=", "Authorization: Bearer ", "X-Api-Key: ", "Referer: https://a.example/"]
)
def test_the_length_of_a_state_tells_nothing_of_a_secret(secret: str) -> None:
    """An attacker who chooses the query sees how long states are: were they deflated, a right guess would tell."""
    value = "zH8s0Q3tVb1rYx5LkWm2"
    right, wrong = (packed(get(f"/?key={guess}", secret + value)) for guess in (value, value[::-1]))
    assert right is not None
    assert wrong is not None
    assert len(right) == len(wrong)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_neither_does_that_of_a_response_with_secrets_in_it(method: str) -> None:
    async def length(fleet: Fleet, guess: str) -> int:
        request = get(f"/?q={guess}", "Cookie: key=zH8s0Q3tVb1rYx5LkWm2", "Content-Length: 0", method=method)
        return len((await begun(fleet.replica(), request))[1].state)

    async def test(fleet: Fleet) -> None:
        assert await length(fleet, "zH8s0Q3tVb1rYx5LkWm2") == await length(fleet, "2mWkL5xYr1bVt3Q0s8Hz")

    with_fleet(echoing, test)


def echoing() -> App:
    app = App()

    @app.route("/", methods=["GET", "POST"])
    async def echo(request: Request) -> Response:
        return Response.text(f"{request.query['q']} {request.cookies['key']} " * 10)

    return app


def test_what_is_too_long_is_kept_under_a_key_or_not_at_all() -> None:
    request = get("/", "Cookie: " + "x" * 700)
    assert packed(request) is None
    key, state = stored(request)
    assert stored_key(state) == key
    assert stored_key(packed(BROWSER) or b"") is None
    assert stored(request) == (key, state)
    with pytest.raises(RequestTooLong, match="cannot be run again"):
        stored(bytes(DEFAULT_SERVER_LIMITS.kept_bytes + 1))


def test_what_is_kept_of_a_request_is_found_by_all() -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        request = get("/?q=" + "y" * 400, "Cookie: key=" + "x" * 300)
        response, known = await begun(first, request)
        assert len(fleet.memory.rows) == 1
        assert output(await asked(second, event(b"", known))) == response

    with_fleet(echoing, test)
