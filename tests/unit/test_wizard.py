"""Forms in steps: the state in the page opens for its principal, in its time, and finishes once."""

from collections.abc import Callable

import pytest

from tests.support.fleetkeys import WALL, ring
from tests.support.immediate import at_once
from trickles.keyring import Keyring
from trickles.stores import store_name
from trickleweb.ledger import Done, Lost, New, OtherLedger, Pending
from trickleweb.plain import NotPlain, StateTooLarge
from trickleweb.sealing import BadSeal, seal
from trickleweb.stores import MemoryLedger, SharedMemory
from trickleweb.wizard import HOUR, Wizard, WizardState

ORDER = Wizard("order", ("address", "payment", "confirm"))
ENTROPY = bytes(range(32))
LEDGER = MemoryLedger()


def page(state: WizardState, wizard: Wizard = ORDER, principal: str = "anna", now: int = WALL) -> str:
    return wizard.seal(ring(), state, principal=principal, now=now, entropy=ENTROPY)


def opened(
    token: str, wizard: Wizard = ORDER, principal: str = "anna", now: int = WALL, keyring: Keyring | None = None
) -> WizardState:
    return wizard.open(keyring or ring(), token, principal=principal, now=now)


def test_the_answers_travel_from_step_to_step() -> None:
    state = ORDER.begin(entropy=ENTROPY, ledger=LEDGER)
    assert state.step == "address"
    for answers in ({"city": "Zürich", "zip": 8001}, {"card": ["x", None]}):
        assert not ORDER.is_last(state)
        state = ORDER.answered(opened(page(state)), **answers)
    last = opened(page(state))
    assert ORDER.is_last(last)
    assert last.answers == {"city": "Zürich", "zip": 8001, "card": ["x", None]}
    assert last.serial == ENTROPY[:16]
    assert ORDER.answered(last, sure=True).step == "confirm"


def test_going_back_a_step_keeps_the_run() -> None:
    first = ORDER.begin(entropy=ENTROPY, ledger=LEDGER)
    token = page(first)
    one, two = ORDER.answered(opened(token), city="A"), ORDER.answered(opened(token), city="B")
    assert (one.answers["city"], two.answers["city"]) == ("A", "B")
    assert one.serial == two.serial


def test_it_finishes_once() -> None:
    ledger = LEDGER
    state = opened(page(ORDER.begin(entropy=ENTROPY, ledger=LEDGER)))
    assert at_once(ORDER.finish(ledger, state, now=WALL)) == New()
    assert at_once(ORDER.finish(ledger, ORDER.answered(state, city="B"), now=WALL)) == Pending()
    assert at_once(ORDER.finished(ledger, state, b"order 17", now=WALL)) == b"order 17"
    assert at_once(ORDER.finish(ledger, state, now=WALL)) == Done(b"order 17")
    other_run = ORDER.begin(entropy=bytes(32), ledger=LEDGER)
    assert at_once(ORDER.finish(ledger, other_run, now=WALL)) == New()
    assert at_once(Wizard("other", ORDER.steps).finish(ledger, state, now=WALL)) == New()


def test_a_run_whose_replica_died_is_not_finished_again() -> None:
    shared = SharedMemory()
    state = ORDER.begin(entropy=ENTROPY, ledger=MemoryLedger(shared))
    at_once(ORDER.finish(MemoryLedger(shared, "one"), state, now=WALL))
    shared.dead.add("one")
    assert at_once(ORDER.finish(MemoryLedger(shared, "two"), state, now=WALL)) == Lost()


def test_a_run_that_began_elsewhere_is_not_finished_in_another_ledger() -> None:
    other = MemoryLedger()
    state = opened(page(ORDER.begin(entropy=ENTROPY, ledger=LEDGER)))
    with pytest.raises(OtherLedger, match=f"this form began with another ledger than {store_name(other.store_id)}"):
        at_once(ORDER.finish(other, ORDER.answered(state, city="B"), now=WALL))
    with pytest.raises(OtherLedger):
        at_once(ORDER.finish(LEDGER, ORDER.begin(entropy=ENTROPY, ledger=None), now=WALL))


def test_forged_expired_and_foreign_pages_are_refused_alike() -> None:
    token = page(ORDER.begin(entropy=ENTROPY, ledger=LEDGER))
    no_more = Wizard("order", ("payment", "confirm"))
    other_form = seal(ring(), "wizard order", b"{}", ttl=HOUR, now=WALL, entropy=ENTROPY, principal="anna")
    bad_serial = seal(
        ring(), "wizard order", b'["address","xy","00",{}]', ttl=HOUR, now=WALL, entropy=ENTROPY, principal="anna"
    )
    texts = set()
    attempts: tuple[Callable[[], WizardState], ...] = (
        lambda: opened(token, now=WALL + HOUR),
        lambda: opened(token, principal="bert"),
        lambda: opened(token, Wizard("other", ORDER.steps)),
        lambda: opened(token, no_more),
        lambda: opened(token, keyring=ring(fleet="theirs")),
        lambda: opened(token[:-1]),
        lambda: opened(other_form),
        lambda: opened(bad_serial),
    )
    for refused in attempts:
        with pytest.raises(BadSeal) as caught:
            refused()
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_answers_that_cannot_travel_are_typed_errors() -> None:
    state = ORDER.begin(entropy=ENTROPY, ledger=LEDGER)
    with pytest.raises(StateTooLarge, match="keep them in a shared store"):
        page(ORDER.answered(state, text="x" * 40_000))
    with pytest.raises(NotPlain):
        page(ORDER.answered(state, text=b"x"))


@pytest.mark.parametrize("steps", [(), ("a", "a")])
def test_a_wizard_has_steps(steps: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="each once"):
        Wizard("w", steps)


def test_a_run_takes_entropy() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        ORDER.begin(entropy=bytes(15), ledger=LEDGER)
