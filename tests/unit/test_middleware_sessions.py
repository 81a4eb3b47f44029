"""Sessions and CSRF around handlers: cookies set when there is need, forms of other sites refused."""

import pytest

from tests.support.fleetkeys import WALL, ring
from tests.support.web import ask, composed, pieces, request
from trickles.keyring import Keyring
from trickleweb.handlers import Handler
from trickleweb.middleware import csrf_protection, sessions
from trickleweb.request import NotSetUp, Request
from trickleweb.responses import Response
from trickleweb.sessions import SessionPolicy, SessionTooLarge

FORM = ("Content-Type", "application/x-www-form-urlencoded")
PARTS = ("Content-Type", "multipart/form-data; boundary=b")


async def counting(asked: Request) -> Response:
    asked.session["count"] = asked.session.get("count", 0) + 1
    return Response.text(str(asked.session["count"]))


async def looking(asked: Request) -> Response:
    return Response.text(str(asked.session.get("count")))


async def careless(_request: Request) -> Response:
    return Response.text("public", headers=(("Cache-Control", "public, max-age=60"),))


async def leaving(asked: Request) -> Response:
    asked.session.clear()
    return Response.redirect("/")


def visit(
    handler: Handler, cookie: str = "", keyring: Keyring | None = None, target: str = "/", now: int = WALL
) -> Response:
    made = composed(handler, [sessions(lambda: keyring or ring())])
    return ask(made, request("GET", target, *([("Cookie", cookie)] if cookie else []), now=now))


def cookie_of(response: Response) -> str:
    (cookie,) = response.headers.all("set-cookie")
    return cookie.partition(";")[0]


def test_a_session_counts_visits_on_any_replica() -> None:
    first = visit(counting)
    second = visit(counting, cookie_of(first))
    assert second.body == Response.text("2").body
    assert first.headers.get("vary") == "Cookie"
    assert first.headers.get("cache-control") == "private, no-cache"


def test_a_request_that_is_run_again_sets_the_same_cookie() -> None:
    assert visit(counting) == visit(counting)


def test_looking_sets_no_cookie_and_is_kept_out_of_caches() -> None:
    seen = visit(looking, cookie_of(visit(counting)))
    assert seen.body == Response.text("1").body
    assert "set-cookie" not in seen.headers
    assert seen.headers.get("vary") == "Cookie"


def test_a_handler_that_does_not_look_is_left_alone() -> None:
    for cookie in ("", "session=forged", cookie_of(visit(counting))):
        assert dict(visit(careless, cookie).headers) == {
            "Content-Type": "text/plain; charset=utf-8",
            "Cache-Control": "public, max-age=60",
        }


@pytest.mark.parametrize("cookie", ["session=forged", "session=", 'session="x"', f"session={'A' * 4000}"])
def test_a_cookie_that_cannot_be_used_is_a_new_session(cookie: str) -> None:
    assert visit(looking, cookie).body == Response.text("None").body
    (removal,) = visit(looking, cookie).headers.all("set-cookie")
    assert removal.startswith("session=; Max-Age=0; ")
    assert visit(counting, cookie).body == Response.text("1").body


def test_foreign_and_expired_cookies_are_new_sessions() -> None:
    good = cookie_of(visit(counting))
    assert visit(looking, good, ring(fleet="theirs")).body == Response.text("None").body
    assert visit(looking, good, now=WALL + SessionPolicy().ttl).body == Response.text("None").body


def test_a_rotated_keyring_is_taken_at_once() -> None:
    rings = [ring(1), ring(1, 2)]
    made = composed(counting, [sessions(lambda: rings[0])])
    first = cookie_of(ask(made, request()))
    del rings[0]
    second = cookie_of(ask(made, request("GET", "/", ("Cookie", first))))
    assert visit(looking, second, ring(2)).body == Response.text("2").body


def test_leaving_removes_the_cookie() -> None:
    (removal,) = visit(leaving, cookie_of(visit(counting))).headers.all("set-cookie")
    assert removal.startswith("session=; Max-Age=0; ")


def test_the_cookie_is_secure_over_https() -> None:
    (cookie,) = visit(counting, target="https://example.org/").headers.all("set-cookie")
    assert "; Secure; HttpOnly; SameSite=Lax" in cookie


def test_a_session_too_large_is_the_programs_error() -> None:
    async def hoarding(asked: Request) -> Response:
        asked.session["all"] = "x" * 5000
        return Response.empty()

    with pytest.raises(SessionTooLarge):
        visit(hoarding)


async def page(asked: Request) -> Response:
    if asked.method == "GET":
        return Response.text(asked.csrf_token())
    name = asked.form().get("name") if "form" in asked.content_type.value else None
    return Response.text(name or "done")


PROTECTED = composed(page, [sessions(ring), csrf_protection(exempt=lambda asked: "authorization" in asked.headers)])


def given() -> tuple[str, str]:
    """The cookie and the token of a visit to the form's page."""
    shown = ask(PROTECTED, request(seed=b"another request's seed, 32 bytes"))
    return cookie_of(shown), shown.body.data.decode()  # type: ignore[union-attr]


def sent(*pairs: tuple[str, str], body: bytes = b"") -> int:
    return ask(PROTECTED, request("POST", "/", *pairs, body=body)).status


def test_a_form_of_ours_is_taken() -> None:
    cookie, token = given()
    body = f"name=anna&csrf_token={token}".encode()
    assert ask(PROTECTED, request("POST", "/", ("Cookie", cookie), FORM, body=body)).body == Response.text("anna").body
    streamed = request("POST", "/", ("Cookie", cookie), FORM, body=pieces(body[:9], body[9:]))
    assert ask(PROTECTED, streamed).body == Response.text("anna").body
    parts = f"--b\r\nContent-Disposition: form-data; name=csrf_token\r\n\r\n{token}\r\n--b--".encode()
    assert sent(("Cookie", cookie), PARTS, body=parts) == 200
    assert sent(("Cookie", cookie), ("X-CSRF-Token", token), body=b"{}") == 200
    ours = [("Origin", "http://example.org"), ("Sec-Fetch-Site", "same-origin")]
    assert sent(("Cookie", cookie), ("X-CSRF-Token", token), *ours) == 200


def test_all_others_are_refused() -> None:
    cookie, token = given()
    other_session = given()[1]
    with_token = [("Cookie", cookie), ("X-CSRF-Token", token)]
    assert sent(("Cookie", cookie)) == 403
    assert sent(("Cookie", cookie), FORM, body=b"name=anna") == 403
    assert sent(("Cookie", cookie), FORM, body=b"csrf_token=x") == 403
    assert sent(("X-CSRF-Token", token)) == 403
    assert sent(("Cookie", cookie), ("Content-Type", "application/json"), body=b'{"csrf_token": "x"}') == 403
    assert sent(*with_token, ("Origin", "https://evil.example")) == 403
    assert sent(*with_token, ("Origin", "null")) == 403
    assert sent(*with_token, ("Origin", "http://[")) == 403
    assert sent(*with_token, ("Sec-Fetch-Site", "cross-site")) == 403
    assert sent(*with_token, ("Sec-Fetch-Site", "same-site")) == 403
    assert other_session == token  # the same entropy makes the same page
    assert sent(("Cookie", cookie), FORM, body=b"a=%ff") == 400


def test_what_no_browser_sends_may_be_exempt() -> None:
    assert sent(("Authorization", "Bearer x")) == 200
    assert ask(PROTECTED, request("OPTIONS", "/")).status == 200


def test_csrf_protection_without_sessions_says_what_is_missing() -> None:
    with pytest.raises(NotSetUp, match="add the middleware `sessions`"):
        ask(composed(page, [csrf_protection()]), request("POST", "/"))
