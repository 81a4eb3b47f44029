"""Two connections whose labels on the wire are equal: 64 bits of a hash, so whoever wants them finds them.

What belongs to one connection must hang on its secret, not on its label.
"""

import pytest

from tests.support.desk import CONTENT, Desk
from tests.support.toys import File
from trickles import session
from trickles.service import Event, Refusal, Reply

LABEL = b"namesake"


@pytest.fixture(autouse=True)
def one_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "connection_id", lambda _secret: LABEL)


def two() -> tuple[Desk, Desk]:
    mine, other = Desk(File(CONTENT)), Desk(File(CONTENT), name="other")
    mine.connect()
    other.connect()
    assert mine.peer.session.connection == other.peer.session.connection == LABEL
    return mine, other


def test_a_namesakes_user_continuation_is_gone() -> None:
    mine, other = two()
    assert other.peer.user is not None
    (answer,) = mine.send(mine.peer.speak(9, 19, user=other.peer.user.blob))
    assert mine.peer.refusal(answer).code is Refusal.GONE


def test_what_one_learned_of_nonces_proves_nothing_for_its_namesake() -> None:
    mine, other = Desk(File(CONTENT)), Desk(File(CONTENT), name="other")
    mine.greet()
    other.greet()
    assert mine.peer.nonces.keys() == other.peer.nonces.keys() != set()
    assert not set(mine.peer.nonces.values()) & set(other.peer.nonces.values())


def test_services_tell_namesakes_apart() -> None:
    seen = set[bytes]()

    class Noting:
        def handle(self, event: Event) -> Reply:
            seen.add(event.connection)
            return Reply()

    for name in ("one", "other"):
        Desk(Noting(), name=name).greet()
    assert len(seen) == 2
    assert {len(name) for name in seen} == {32}


def test_one_uses_up_no_numbers_of_its_namesake() -> None:
    mine, other = Desk(File(CONTENT)), Desk(File(CONTENT), name="other")
    other.listener = mine.listener
    assert mine.connect()
    assert other.connect()
    assert mine.ask(mine.peer.speak(9, 19))
    assert other.ask(other.peer.speak(9, 19))
