"""Replicas that die at work, and clients that leave: each is noticed in time, whatever datagrams are lost."""

from random import Random

import pytest

from tests.support.fleetkeys import WALL
from tests.support.limits import TEST_LIMITS
from tests.support.net import CLIENT, DELAY, Net, fleet
from tests.support.toys import File, Patient
from tests.support.worlds import HOME, KEYS
from trickles.client import Client
from trickles.client.liveness import DISTANCE, MOST_UNANSWERED, RENEW_EVERY, Liveness
from trickles.limits import MILLISECOND, SECOND
from trickles.listener import Listener
from trickles.listener.waiting import RENEWED_FOR
from trickles.service import Deferred, Event, Reply
from trickles.wire.kinds import Address, Burst, Kind

ROUND_TRIP = 2 * DELAY
ANSWER = File(b"done")


class Work(Patient):
    """Defers every answer; notes when the work began, and when clients left."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[bytes] = []
        self.done = False

    def finish(self) -> None:
        """Answer all, and what is asked again."""
        self.done = True
        for event, deferred in self.waiting:
            deferred.resolve(ANSWER.handle(event))

    def handle(self, event: Event) -> Reply | Deferred:  # type: ignore[override]
        return ANSWER.handle(event) if self.done else super().handle(event)

    def left(self, connection: bytes) -> None:
        self.gone.append(connection)

    @property
    def begun(self) -> int:
        return len(self.waiting)


def waiting(*, greeted: bool) -> tuple[Net, Work]:
    """A client whose request is at work at the first replica: the one in its hello, or a later one."""
    work = Work()
    net = Net(fleet(work, 3), config=HOME)
    net.begin()
    if not greeted:
        net.go_on(10 * ROUND_TRIP)
        work.waiting[0][1].resolve(Reply())  # nothing yet: the client asks again, from a validated address
    net.idle(20 * ROUND_TRIP)
    assert work.begun == (1 if greeted else 2)
    return net, work


def until_begun(net: Net, work: Work, count: int, limit: int) -> int:
    """How long it takes until so many requests have begun."""
    start = net.now
    while work.begun < count and net.now < start + limit:
        assert net.step()
    return net.now - start


@pytest.mark.parametrize("greeted", [True, False], ids=["hello", "request"])
@pytest.mark.parametrize("after", range(0, 250, 50))
def test_a_replica_killed_at_work_is_replaced_within_one_distance(greeted: bool, after: int) -> None:
    net, work = waiting(greeted=greeted)
    net.idle(after * MILLISECOND + 1)
    before = work.begun
    net.replicas[0].kill(unreachable=True)
    assert until_begun(net, work, before + 1, 5 * SECOND) <= DISTANCE + 4 * ROUND_TRIP


@pytest.mark.parametrize("greeted", [True, False], ids=["hello", "request"])
def test_one_that_was_restarted_between_two_questions_is_found_out(greeted: bool) -> None:
    net, work = waiting(greeted=greeted)
    before = work.begun
    net.replicas[0].kill()
    net.replicas[0].restart()
    assert until_begun(net, work, before + 1, 5 * SECOND) <= DISTANCE + 4 * ROUND_TRIP


@pytest.mark.parametrize("greeted", [True, False], ids=["hello", "request"])
def test_a_host_that_is_gone_is_given_up_after_some_questions(greeted: bool) -> None:
    net, work = waiting(greeted=greeted)
    before = work.begun
    net.replicas[0].kill()
    assert until_begun(net, work, before + 1, 5 * SECOND) <= (MOST_UNANSWERED + 1) * DISTANCE + 4 * ROUND_TRIP


def test_six_kills_in_a_row_cost_a_distance_each() -> None:
    net, work = waiting(greeted=False)
    for _ in range(6):
        (request,) = net.client.in_flight
        (at,) = (each for each in net.replicas if each.address == request.replica)
        before = work.begun
        at.kill(unreachable=True)
        net.simulation.clock.after(50 * MILLISECOND, at.restart)
        assert until_begun(net, work, before + 1, 5 * SECOND) <= DISTANCE + 4 * ROUND_TRIP
        net.idle(50 * MILLISECOND)


@pytest.mark.parametrize("lost", [0.1, 0.3])
def test_lost_words_cost_other_runs_but_no_work(lost: float) -> None:
    """One request of a minute is answered in time by the replica that began it, in most runs."""
    runs = 0
    for seed in range(5):
        work = Work()
        net = Net(fleet(work, 2), config=HOME, seed=seed, loss=lost)
        net.begin()
        net.idle(60 * SECOND)
        assert work.gone.count(work.waiting[0][0].connection) <= work.begun
        runs += work.begun
        work.finish()
        net.go_on(net.now + 30 * SECOND)
        assert net.received == b"done"
    assert runs <= (15 if lost < 0.2 else 100)


def leaves(net: Net) -> list[bytes]:
    """The goodbyes of the client, which is over."""
    return [datagram for datagram, _ in net.client.leave()]


@pytest.mark.parametrize("greeted", [True, False], ids=["hello", "request"])
def test_a_goodbye_ends_the_work_at_once(greeted: bool) -> None:
    net, work = waiting(greeted=greeted)
    (goodbye,) = leaves(net)
    net.listeners[0].handle(goodbye, CLIENT, now=net.replicas[0].now)
    assert len(work.gone) == 1
    assert net.listeners[0].next_timeout() is None


@pytest.mark.parametrize("greeted", [True, False], ids=["hello", "request"])
def test_a_lost_goodbye_is_noticed_in_time(greeted: bool) -> None:
    net, work = waiting(greeted=greeted)
    net.idle(3 * SECOND)
    assert leaves(net)
    net.idle(RENEWED_FOR + SECOND)
    assert work.gone == [work.waiting[-1][0].connection]


@pytest.mark.parametrize("greeted", [True, False], ids=["hello", "request"])
def test_work_is_renewed_for_as_long_as_the_client_waits(greeted: bool) -> None:
    net, work = waiting(greeted=greeted)
    before = work.begun
    net.idle(120 * SECOND)
    assert (work.begun, work.gone) == (before, [])


def test_a_client_whose_words_are_lost_for_long_asks_again() -> None:
    """Its work is dropped, and begins anew when the path is back."""
    blocked = False

    def tamper(datagram: bytes, _upward: bool) -> tuple[bytes, ...]:
        return () if blocked and datagram[0] != Kind.HELLO else (datagram,)

    work = Work()
    net = Net(fleet(work, 1), config=HOME, tamper=tamper)
    net.begin()
    net.idle(SECOND)
    blocked = True
    net.idle(20 * SECOND)
    assert len(work.gone) == 1
    before, blocked = work.begun, False
    net.idle(5 * SECOND)
    assert work.begun > before


def test_a_client_that_has_all_its_answers_says_no_goodbye() -> None:
    work = Work()
    net = Net(fleet(work, 2), config=HOME)
    net.begin()
    net.idle(SECOND)
    work.finish()
    net.go_on(net.now + SECOND)
    assert net.outcome == "end"
    assert net.client.leave() == []


class Crowd:
    """Clients of one process before one replica. Time goes in steps; small ones where a notice may come."""

    STEP = 50 * MILLISECOND
    SMALL_STEP = 2 * MILLISECOND

    def __init__(self, count: int) -> None:
        self.work, self.now, self.lives, self.awaits = Work(), SECOND, 0, 0
        self.replica: Address = ("10.0.0.1", 443)
        self.liveness = Liveness()
        self.born()
        self.clients = [self.client(index) for index in range(count)]
        self.go_on(SECOND, self.SMALL_STEP)

    def born(self) -> None:
        """Start the replica's process, again."""
        self.lives += 1
        self.listener = Listener(KEYS, self.work, entropy=Random(self.lives).randbytes, limits=TEST_LIMITS)

    def client(self, index: int) -> Client:
        made = Client([self.replica], entropy=Random(-index).randbytes, config=HOME, liveness=self.liveness)
        made.write(b"GET\n")
        made.connect(now=self.now)
        return made

    def go_on(self, duration: int, step: int = STEP) -> None:
        """Let time pass."""
        for _ in range(duration // step):
            self.now += step
            self.liveness.on_time(self.now)
            for index, client in enumerate(self.clients):
                client.handle_timeout(now=self.now)
                for datagram, _ in client.datagrams_to_send(now=self.now):
                    self.awaits += datagram[0] == Kind.AWAIT
                    self.deliver(self.listener.handle(datagram, (CLIENT[0], index), now=WALL + self.now))
            self.deliver(self.listener.poll(WALL + self.now))

    def deliver(self, bursts: list[Burst]) -> None:
        for burst in bursts:
            for datagram in burst.datagrams():
                self.clients[burst.destination[1]].receive_datagram(datagram, self.replica, now=self.now)


@pytest.mark.slow
def test_a_crowd_renews_its_work_with_few_datagrams_and_notices_a_death_as_one() -> None:
    crowd = Crowd(30)
    assert crowd.work.begun == 30
    crowd.awaits = 0
    crowd.go_on(2 * RENEWED_FOR)
    assert (crowd.work.begun, crowd.work.gone) == (30, [])
    assert crowd.awaits <= 2 * RENEWED_FOR // DISTANCE + 2, "not one for each client"
    crowd.born()
    crowd.go_on(DISTANCE + 2 * Crowd.SMALL_STEP, Crowd.SMALL_STEP)
    assert crowd.work.begun == 60, "each once"


@pytest.mark.slow
def test_an_answer_that_was_lost_is_asked_for_again_when_the_turn_comes() -> None:
    crowd = Crowd(20)
    for _, deferred in crowd.work.waiting[:7]:
        deferred.resolve(Reply())
    crowd.listener.poll(WALL + crowd.now)  # and nothing of it arrives
    crowd.go_on(RENEW_EVERY + DISTANCE, 2 * Crowd.SMALL_STEP)
    assert crowd.work.begun == 27
    assert crowd.work.gone == []


@pytest.mark.slow
def test_whoever_left_is_not_renewed_by_the_others() -> None:
    crowd = Crowd(40)
    crowd.clients[3].leave()
    crowd.go_on(RENEWED_FOR + SECOND)
    assert len(crowd.work.gone) == 1
    assert crowd.work.begun == 40
