"""Sessions in cookies: they come back, end in time, survive a rotation, and refuse what is not theirs alike."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleetkeys import WALL, ring
from tests.unit.test_plain import PLAIN
from trickles.keyring import Keyring
from trickleweb.cookies import Cookie
from trickleweb.plain import NotPlain, Plain
from trickleweb.sealing import BadSeal, seal
from trickleweb.sessions import (
    Flash,
    Session,
    SessionPolicy,
    SessionTooLarge,
    csrf_matches,
    csrf_token,
    open_session,
    session_cookie,
)
from trickleweb.sessions.session import MAX_FLASHES

POLICY = SessionPolicy()
DAY = 24 * 3600 * 1_000_000
ENTROPY = bytes(range(32))


def kept(
    session: Session,
    policy: SessionPolicy = POLICY,
    *,
    now: int = WALL,
    had: bool = False,
    https: bool = False,
    keyring: Keyring | None = None,
) -> Cookie | None:
    return session_cookie(keyring or ring(), policy, session, now=now, entropy=ENTROPY, had=had, https=https)


def back(session: Session, policy: SessionPolicy = POLICY, *, now: int = WALL, later: int = 0) -> Session:
    """The session as the client's next request brings it, `later` microseconds after."""
    cookie = kept(session, policy, now=now)
    assert cookie is not None
    return open_session(ring(), policy, cookie.value, now=now + later)


@pytest.mark.slow
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), PLAIN, max_size=4))
def test_what_is_kept_comes_back(values: dict[str, Plain]) -> None:
    session = Session()
    session.update(values)
    if values:
        assert dict(back(session)) == values


def test_it_is_a_dict() -> None:
    session = Session()
    session["a"] = [1]
    session.setdefault("b", 2)
    assert (len(session), list(session), session.get("c")) == (2, ["a", "b"], None)
    del session["b"]
    assert "b" not in session
    with pytest.raises(KeyError):
        session["b"]


@pytest.mark.parametrize("value", [(1,), b"x", {1: 1}, float("nan")])
def test_what_cannot_be_kept_is_refused_where_it_is_put_in(value: object) -> None:
    with pytest.raises(NotPlain):
        Session()["a"] = value


def test_a_cookie_is_set_only_when_there_is_need() -> None:
    assert kept(Session()) is None
    session = Session()
    session["a"] = [1]
    again = back(session)
    assert kept(again, had=True) is None
    again["a"].append(2)
    assert back(again)["a"] == [1, 2]


def test_an_emptied_or_refused_session_removes_its_cookie() -> None:
    session = Session()
    session["a"] = 1
    again = back(session)
    again.clear()
    for empty in (again, Session()):
        cookie = kept(empty, had=True)
        assert cookie is not None
        assert (cookie.value, cookie.max_age_s) == ("", 0)


def test_its_time_is_renewed_when_half_of_it_is_over() -> None:
    session = Session()
    session["a"] = 1
    cookie = kept(session)
    assert cookie is not None
    assert cookie.max_age_s == 14 * 24 * 3600
    assert kept(back(session, later=6 * DAY), now=WALL + 6 * DAY, had=True) is None
    renewed = kept(back(session, later=8 * DAY), now=WALL + 8 * DAY, had=True)
    assert renewed is not None
    assert open_session(ring(), POLICY, renewed.value, now=WALL + 21 * DAY)["a"] == 1


def test_it_ends_however_often_it_is_renewed() -> None:
    policy = replace(POLICY, max_life=20 * DAY)
    session = Session()
    session["a"] = 1
    session = back(session, policy, later=13 * DAY)
    renewed = kept(session, policy, now=WALL + 13 * DAY, had=True)
    assert renewed is not None
    assert renewed.max_age_s == 7 * 24 * 3600
    last = open_session(ring(), policy, renewed.value, now=WALL + 20 * DAY - 1)
    assert kept(last, policy, now=WALL + 20 * DAY - 1, had=True) is None
    with pytest.raises(BadSeal):
        open_session(ring(), policy, renewed.value, now=WALL + 20 * DAY)


def test_a_session_past_its_life_is_sealed_for_no_time() -> None:
    session = Session(began=WALL - 91 * DAY)
    session["a"] = 1
    cookie = kept(session, had=True)
    assert cookie is not None
    assert cookie.max_age_s == 0


def test_forged_expired_and_foreign_cookies_are_refused_alike() -> None:
    session = Session()
    session["a"] = 1
    cookie = kept(session)
    assert cookie is not None
    other_fleet = kept(session, keyring=ring(fleet="theirs"))
    other_name = kept(session, replace(POLICY, cookie="other"))
    other_release = seal(ring(), POLICY.purpose, b"[1]", ttl=DAY, now=WALL, entropy=ENTROPY)
    assert other_fleet is not None
    assert other_name is not None
    texts = set()
    for value, now in (
        (cookie.value, WALL + 14 * DAY),
        (cookie.value[:-2], WALL),
        (other_fleet.value, WALL),
        (other_name.value, WALL),
        (other_release, WALL),
        ("", WALL),
        ('"quoted"', WALL),
    ):
        with pytest.raises(BadSeal) as caught:
            open_session(ring(), POLICY, value, now=now)
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_a_rotation_keeps_sessions() -> None:
    session = Session()
    session["a"] = 1
    before = kept(session, keyring=ring(1))
    assert before is not None
    again = open_session(ring(1, 2), POLICY, before.value, now=WALL)
    again["a"] = 2
    after = kept(again, keyring=ring(1, 2))
    assert after is not None
    assert open_session(ring(2), POLICY, after.value, now=WALL)["a"] == 2


def test_a_session_too_large_for_a_cookie_says_what_to_do() -> None:
    session = Session()
    session["a"] = "x" * 3100
    with pytest.raises(SessionTooLarge, match=r"does not fit its cookie by \d+ bytes: keep its data in a shared store"):
        kept(session)
    session["a"] = "x" * 2900
    assert kept(session) is not None


@pytest.mark.parametrize(
    ("setting", "https", "secure"), [(None, True, True), (None, False, False), (True, False, True)]
)
def test_the_cookie_is_secure_where_it_can_be(setting: bool | None, https: bool, secure: bool) -> None:
    session = Session()
    session["a"] = 1
    policy = SessionPolicy(cookie="s", path="/app", domain="x.org", secure=setting, same_site="Strict")
    cookie = kept(session, policy, https=https)
    assert cookie is not None
    assert (cookie.secure, cookie.path, cookie.domain, cookie.same_site) == (secure, "/app", "x.org", "Strict")
    session.clear()
    gone = kept(session, policy, https=https, had=True)
    assert gone is not None
    assert (gone.secure, gone.path, gone.domain) == (secure, "/app", "x.org")


def test_flashes_are_shown_once() -> None:
    session = Session()
    session.flash("Saved.", "success")
    session.flash("Look out.")
    again = back(session)
    assert again.take_flashes() == (Flash("Saved.", "success"), Flash("Look out.", "info"))
    assert again.take_flashes() == ()
    assert again.changed
    for number in range(100):
        again.flash(str(number))
    assert [each.text for each in again.take_flashes()] == [str(each) for each in range(100 - MAX_FLASHES, 100)]


def test_a_csrf_token_is_new_on_each_page_and_good_for_the_session() -> None:
    session = Session()
    first = csrf_token(session, entropy=ENTROPY)
    again = back(session)
    second = csrf_token(again, entropy=bytes(range(40, 72)))
    assert first != second
    assert csrf_matches(again, first)
    assert csrf_matches(again, second)
    assert not again.changed
    assert first == csrf_token(Session(), entropy=ENTROPY)  # a page that is rendered again is the same page


def test_other_csrf_tokens_do_not_match() -> None:
    session, other = Session(), Session()
    token = csrf_token(session, entropy=ENTROPY)
    foreign = csrf_token(other, entropy=bytes(32))
    for text in (foreign, "", token[:-1], token + "A", token + "\n", "ü" * 43, "A" * 43, token[:-1] + "-", "=" * 43):
        assert not csrf_matches(session, text)
    assert not csrf_matches(Session(), token)
    session.clear()
    assert not csrf_matches(session, token)


def test_a_csrf_token_takes_entropy() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        csrf_token(Session(), entropy=bytes(31))
