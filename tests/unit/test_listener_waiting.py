"""Requests that wait for a service: what is due comes out in order, and waiting costs others nothing."""

from random import Random
from typing import ClassVar

import pytest

from tests.support.desk import Desk
from tests.support.limits import TEST_LIMITS
from tests.support.toys import Patient, Tape
from trickles.limits import MILLISECOND
from trickles.listener.responder import Grant
from trickles.listener.waiting import Waiting
from trickles.service import Deferred


class Counted(Deferred):
    """A deferred reply that counts how often any of them is looked up."""

    __slots__ = ()
    looks: ClassVar[list[int]] = [0]

    def __hash__(self) -> int:
        self.looks[0] += 1
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def test_a_full_house_of_waiting_requests_costs_no_look_ups_for_anybody_else() -> None:
    desk = Desk(Tape())
    desk.connect()
    waiting = desk.listener._replier._waiting
    for number in range(TEST_LIMITS.max_waiting):
        waiting.add(Counted(), GRANT, desk.now + 1_000 * MILLISECOND + number)
    Counted.looks[0] = 0
    for lo in range(9, 19):
        assert desk.send(desk.peer.speak(lo, lo + 1))
        assert desk.listener.poll(desk.now) == []
        assert desk.listener.next_timeout() == desk.now + 1_000 * MILLISECOND
    assert Counted.looks[0] <= 4 * 10


def grant() -> Grant:
    late = Desk(Patient())
    desk = Desk(Tape())
    desk.connect()
    late.peer, late.now = desk.peer, desk.now
    late.send(desk.peer.speak(9, 11))
    ((held, _),) = late.listener._replier._waiting._grants.values()
    return held


GRANT = grant()


@pytest.mark.parametrize("seed", range(20))
def test_what_is_due_agrees_with_a_list_and_nothing_piles_up(seed: int) -> None:
    chance, waiting, plain, now = Random(seed), Waiting(), dict[Deferred, int | None](), 0
    for _ in range(3_000):
        act = chance.randrange(4)
        if act < 2:
            deferred = chance.choice(list(plain)) if plain and chance.random() < 0.3 else Deferred()
            plain[deferred] = chance.choice([None, now + chance.randrange(100)])
            waiting.add(deferred, GRANT, plain[deferred])
        elif act == 2 and plain:
            deferred = chance.choice(list(plain))
            assert waiting.remove(deferred)
            assert not waiting.remove(deferred)
            del plain[deferred]
        else:
            now += chance.randrange(10)
            ready = {deferred for deferred, _ in waiting.pop_due(now)}
            assert ready == {each for each, due in plain.items() if due is not None and due <= now}
            plain |= dict.fromkeys(ready)
        assert waiting.next_due == min((due for due in plain.values() if due is not None), default=None)
        assert len(waiting) == len(plain)
        assert len(waiting._due) <= 2 * len(plain) + 66
    waiting.clear()
    assert (len(waiting), waiting.next_due) == (0, None)
