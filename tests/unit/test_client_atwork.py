"""Requests at work, from the client's side: questions, answers, copies of answers, and goodbyes."""

from tests.support.authentic import A, AuthenticFleet, B
from trickles.client import Policy
from trickles.client.liveness import DISTANCE, MOST_UNANSWERED, RENEW_EVERY, Liveness
from trickles.client.requests import InFlight
from trickles.service import Refusal
from trickles.wire.awaiting import Awaited, parse_await_untrusted
from trickles.wire.kinds import Address, Kind, ResponseFlag

LIFE, NEXT_LIFE = 11, 12  # incarnations


class Waiting(AuthenticFleet):
    """A client whose request 1 is at work at A."""

    def __init__(self, policy: Policy = Policy.HOME, liveness: Liveness | None = None) -> None:
        super().__init__(policy=policy, liveness=liveness)
        self.sent: list[tuple[bytes, Address]] = []
        self.say(0, 1, flags=ResponseFlag.SHORT)  # all of the answer to the hello
        self.flush()
        self.at = self.request.replica
        self.work(1, 4_000)

    @property
    def request(self) -> InFlight:
        """The newest request in flight."""
        return list(self.client.in_flight)[-1]

    def work(self, request: int, worked_us: int, life: int = LIFE) -> None:
        """Deliver a notice."""
        self.hear(self.refusal(Refusal.WORKING, request, worked_us=worked_us, incarnation=life), self.at)

    def flush(self, later: int = 0) -> list[tuple[Kind, int, Address]]:
        """What the client sends: kind, number, destination."""
        self.now += later
        self.client.handle_timeout(now=self.now)
        self.sent = self.client.datagrams_to_send(now=self.now)
        return [(Kind(data[0]), int.from_bytes(data[129:133], "big"), to) for data, to in self.sent]

    def asks(self) -> int:
        """The number of the AWAIT that is sent after another distance."""
        ((kind, number, to),) = self.flush(DISTANCE)
        assert (kind, to) == (Kind.AWAIT, self.at)
        return number

    def answered(self, number: int, mask: int = 1, life: int = LIFE) -> bytes:
        """An answer to that AWAIT, delivered."""
        answer = self._tagged(Awaited(number, life, mask).clear(self._salt()))
        self.hear(answer, self.at)
        return answer


def test_a_client_asks_about_the_datagram_that_is_at_work() -> None:
    fleet = Waiting()
    number = fleet.asks()
    (datagram, _) = fleet.sent[0]
    body = fleet.session.open_request_untrusted(datagram[:133], datagram)
    assert parse_await_untrusted(body) == (0, (1,), ())
    fleet.answered(number)
    for _ in range(100):
        fleet.answered(fleet.asks())
    assert fleet.request.newest == 1, "and nothing is repeated"


def test_a_notice_makes_nothing_due_where_a_shared_liveness_asks() -> None:
    for fleet, due in ((Waiting(), True), (Waiting(liveness=Liveness()), False)):
        notice = fleet.refusal(Refusal.WORKING, 1, worked_us=32_000, incarnation=LIFE)
        before = fleet.client.next_timeout()
        assert fleet.client.receive_burst(notice, len(notice), fleet.at, now=fleet.now + 1) is due
        assert not fleet.client.receive_burst(notice, len(notice), fleet.at, now=fleet.now + 1), "a copy"
        after = fleet.client.next_timeout()
        assert before is not None
        assert after is not None
        assert after >= before
        assert not fleet.flush()


def test_what_is_not_at_work_is_repeated_there() -> None:
    fleet = Waiting()
    number = fleet.asks()
    fleet.answered(number, mask=0)
    assert fleet.flush() == [(Kind.REQUEST, number + 1, fleet.at)]
    fleet.answered(number, mask=0)
    assert fleet.flush() == [], "a copy"


def test_another_incarnation_lost_the_work_which_moves_to_a_replica_that_is_no_newcomer() -> None:
    fleet = Waiting()
    number = fleet.asks()
    fleet.answered(number, mask=0, life=NEXT_LIFE)
    (fleet.at,) = {A, B} - {fleet.at}
    assert fleet.flush() == [(Kind.REQUEST, number + 1, fleet.at)]
    fleet.work(number + 1, 4_000, NEXT_LIFE)
    fleet.answered(fleet.asks(), life=NEXT_LIFE)
    assert fleet.flush() == []


def test_a_successor_that_took_the_request_up_is_at_work_on_it() -> None:
    fleet = Waiting()
    fleet.answered(fleet.asks(), mask=1, life=NEXT_LIFE)
    assert fleet.flush() == []
    fleet.answered(fleet.asks(), mask=1, life=NEXT_LIFE)
    assert fleet.flush() == []


def test_a_replica_that_does_not_answer_is_left() -> None:
    fleet = Waiting()
    for _ in range(MOST_UNANSWERED):
        fleet.asks()
    ((kind, _, to),) = fleet.flush(DISTANCE)
    assert (kind, to) == (Kind.REQUEST, B if fleet.at == A else A)
    assert fleet.client.delivery.failovers == 1


def test_a_copy_of_an_answer_does_not_hide_a_death() -> None:
    fleet = Waiting()
    answer = fleet.answered(fleet.asks())
    for _ in range(MOST_UNANSWERED):
        fleet.asks()
        for _ in range(10):
            fleet.hear(answer, fleet.at)
    ((kind, _, to),) = fleet.flush(DISTANCE)
    assert (kind, to != fleet.at) == (Kind.REQUEST, True)


def test_an_answer_from_another_replica_does_not_count() -> None:
    fleet = Waiting()
    fleet.asks()
    asked, fleet.at = fleet.at, B if fleet.at == A else A
    fleet.answered(2, mask=0)
    fleet.at = asked
    assert fleet.flush() == []


def test_nobody_listens_where_it_is_at_work() -> None:
    fleet = Waiting()
    fleet.asks()
    fleet.client.receive_unreachable(fleet.at, now=fleet.now)
    ((kind, _, to),) = fleet.flush()
    assert (kind, to != fleet.at) == (Kind.REQUEST, True)


def test_a_client_that_leaves_says_so_where_it_may_be_waited_for() -> None:
    fleet = Waiting()
    ((goodbye, to),) = fleet.client.leave()
    assert to == fleet.at
    body = fleet.session.open_request_untrusted(goodbye[:133], goodbye)
    assert parse_await_untrusted(body) == (1, (), ())
    assert fleet.flush(RENEW_EVERY) == []
    assert fleet.client.next_timeout() is None
    assert fleet.client.leave() == []


def test_the_end_of_a_request_ends_the_questions() -> None:
    fleet = Waiting()
    fleet.say(1, 10, b"", [fleet.transport(10, 1)], offset=2, flags=ResponseFlag.SHORT, source=fleet.at)
    asked = [kind for kind, _, _ in fleet.flush(DISTANCE)]
    assert Kind.AWAIT not in asked
