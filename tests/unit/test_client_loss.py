"""Loss, silence and death as a client meets them: what it repeats, where it goes, when it restarts and gives up."""

from collections.abc import Iterable
from random import Random

import pytest

from tests.support.fleetkeys import ring
from tests.support.inside import parts
from tests.support.net import HOME, SPRAY, Net, fleet
from tests.support.replica_program import Lines, tape
from tests.support.toys import File, Patient, Refusing, body
from trickles.client import ClientConfig
from trickles.limits import MILLISECOND, SECOND
from trickles.service import Continuation, Deferred, Event, Refusal, Reply
from trickles.testing import kill_at, outage
from trickles.wire.kinds import Kind, ResponseFlag
from trickles.wire.response import HEADER

CONTENT = body(120_000)


def counted(net: Net, name: str) -> int:
    value = net.client.statistics().get(name, 0)
    assert isinstance(value, int)
    return value


def whole(net: Net) -> None:
    assert net.run() == CONTENT, f"{net.outcome} {net.client.statistics()}"
    assert net.outcome == "end"


class Dropping:
    """Loses the n-th datagrams that one side sends, and nothing else."""

    def __init__(self, *numbers: int, upward: bool = False) -> None:
        self.numbers = set(numbers)
        self.upward = upward
        self.count = 0

    def __call__(self, datagram: bytes, upward: bool) -> Iterable[bytes]:
        if upward is not self.upward:
            return (datagram,)
        self.count += 1
        return () if self.count in self.numbers else (datagram,)


@pytest.mark.parametrize("number", range(1, 90))
def test_any_one_packet_of_the_server_may_be_lost(number: int) -> None:
    net = Net(fleet(File(CONTENT)), config=HOME, tamper=Dropping(number))
    whole(net)
    assert net.now < 600 * MILLISECOND


@pytest.mark.parametrize("number", range(1, 20))
def test_any_one_request_may_be_lost(number: int) -> None:
    net = Net(fleet(File(CONTENT)), config=HOME, tamper=Dropping(number, upward=True))
    whole(net)
    assert net.now < 600 * MILLISECOND


@pytest.mark.parametrize("first", range(2, 60, 3))
def test_bursts_of_loss_cost_time_and_no_bytes(first: int) -> None:
    net = Net(fleet(File(CONTENT)), config=HOME, tamper=Dropping(*range(first, first + 12)))
    whole(net)


class Last:
    """Loses the last packet of every output, the first time it is sent; notes what repeats bring."""

    def __init__(self, stop: int) -> None:
        self.stop = stop
        self.lost = False
        self.repeats = 0

    def __call__(self, datagram: bytes, upward: bool) -> Iterable[bytes]:
        if upward or datagram[0] != Kind.RESPONSE:
            return (datagram,)
        _, flags, _, _, _, nonce, offset = HEADER.unpack_from(datagram)
        self.repeats += bool(flags & ResponseFlag.REPEATED)
        assert bool(nonce) is not bool(flags & ResponseFlag.REPEATED)
        if offset + len(datagram) - 48 >= self.stop and not self.lost:
            self.lost = True
            return ()
        return (datagram,)


def window_of(net: Net) -> int:
    board = parts(net.client).flight.board
    return board.course.window(board.cursor)


def test_a_loss_at_the_end_is_mended_by_a_repeat_and_shown_by_what_follows() -> None:
    losing = Last(30_000)
    net = Net(fleet(Lines(), 1), config=HOME, tamper=losing)
    assert bytes(net.run(b"get 30000\n")) == tape(0, 30_000)
    assert (losing.lost, losing.repeats, counted(net, "timeouts")) == (True, 1, 0)
    window = window_of(net)
    assert window > 20
    net.client.write(b"get 2000\n")
    net.go_on()
    assert bytes(net.received) == tape(0, 30_000) + tape(0, 2000)
    assert window_of(net) <= window // 2


def test_one_loss_halves_the_window_once_and_needs_no_timeout() -> None:
    net = Net(fleet(File(CONTENT)), config=HOME, tamper=Dropping(40))
    whole(net)
    assert (counted(net, "lost"), counted(net, "timeouts")) == (1, 0)


def test_nothing_lost_nothing_repeated() -> None:
    net = Net(fleet(File(CONTENT)), config=HOME)
    whole(net)
    assert [counted(net, name) for name in ("lost", "repeats", "probes", "timeouts", "failovers")] == [0] * 5


@pytest.mark.slow
def test_packets_that_overtake_the_continuation_of_a_restart_wait_for_it() -> None:
    """The first three packets of an episode carry its continuation; those behind them are proved under it only."""
    for seed in range(60):
        net = Net(fleet(File(CONTENT)), seed=seed, config=HOME, shuffle_us=400)
        assert net.run() == CONTENT, f"seed {seed}: {net.outcome} {net.client.statistics()}"


def test_reordering_is_learned_and_costs_little() -> None:
    net = Net(fleet(File(body(400_000))), config=HOME, shuffle_us=3_000)
    assert net.run() == body(400_000)
    assert counted(net, "timeouts") == 0


# death


@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
@pytest.mark.parametrize("dies", range(0, 60_000, 5_200))  # before the download is complete
def test_a_replica_that_dies_at_any_moment_costs_a_probe_and_no_bytes(dies: int, config: ClientConfig) -> None:
    net = Net(fleet(File(CONTENT)), config=config)
    kill_at(net.simulation, net.replicas[0], dies)
    whole(net)
    assert counted(net, "timeouts") == 0


@pytest.mark.parametrize("dies", range(12_000, 58_000, 4_600))  # while it is under way
def test_an_explicit_sign_of_death_costs_less_than_a_probe(dies: int) -> None:
    stalls, ends = [], []
    for icmp in (True, False):
        net = Net(fleet(File(CONTENT)), config=HOME)
        kill_at(net.simulation, net.replicas[0], dies, unreachable=icmp)
        whole(net)
        stalls.append(counted(net, "longest_stall_us"))
        ends.append(net.now)
    assert stalls[0] <= stalls[1]
    assert ends[0] < ends[1]
    assert stalls[0] <= 2 * 10_000 + 20 * MILLISECOND


def test_replicas_that_die_and_return_all_the_time_serve_on() -> None:
    for seed in range(15):
        chance, net = Random(seed), Net(fleet(File(CONTENT), 3), seed=seed, loss=0.01, shuffle_us=50)
        for replica in net.replicas:
            outage(net.simulation, replica, chance.randrange(200_000), 150_000, unreachable=bool(seed % 2))
        assert net.run() == CONTENT, f"seed {seed}: {net.outcome}"


def test_when_all_are_dead_for_a_while_it_goes_on_when_one_is_back() -> None:
    net = Net(fleet(File(CONTENT)), config=HOME)
    outage(net.simulation, net.replicas[0], 50_000, 9 * SECOND - 50_000)
    kill_at(net.simulation, net.replicas[1], 45_000)
    whole(net)
    assert net.now > 9 * SECOND


def test_when_all_are_dead_for_good_it_says_so_in_time() -> None:
    net = Net(fleet(File(CONTENT)), config=HOME)
    kill_at(net.simulation, net.replicas[0], 50_000)
    kill_at(net.simulation, net.replicas[1], 45_000)
    received = net.run()
    assert CONTENT.startswith(received)
    assert net.outcome == "no replica answers"
    assert 30 * SECOND < net.now < 31 * SECOND


def test_a_last_try_finds_a_fleet_that_is_back_shortly_before_the_end() -> None:
    for seed in range(3):
        net = Net(fleet(File(CONTENT)), config=HOME, seed=seed)
        for replica in net.replicas:
            outage(net.simulation, replica, 45_000, 29_700 * MILLISECOND)
        whole(net)
        assert net.now < 31 * SECOND


def test_after_a_timeout_no_replica_is_asked_again_that_was_silent_before_it() -> None:
    net = Net(fleet(File(CONTENT), 8), config=HOME)
    for replica in net.replicas[:5]:  # about as many as are probed before the timeout
        kill_at(net.simulation, replica, 30_000)
    whole(net)
    assert counted(net, "timeouts") == 1
    assert counted(net, "longest_stall_us") < 300 * MILLISECOND


class Ends:
    """Answers each line with its own, and deserves no more thought."""

    def handle(self, event: Event) -> Reply:
        known = event.continuation
        at = known.consumed if known else 0
        line, mark, _ = event.input[max(at - event.input_offset, 0) :].partition(b"\n")
        said = Continuation(line + mark, at, at + len(line) + 1, at + len(line) + 1) if mark else known
        if said is None or said.stop is None:
            return Reply()
        pieces = tuple(
            (start, said.state[start - said.start :]) for start, stop in event.wants if said.start <= start < said.stop
        )
        return Reply(pieces, said if mark else None)


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("idle", [31 * SECOND, 3600 * SECOND])
def test_after_an_idle_hour_one_lost_packet_costs_a_probe_and_not_the_connection(idle: int, lost: int) -> None:
    dropping = Dropping()
    net = Net(fleet(Ends()), config=HOME, tamper=dropping)
    assert net.run(b"one\n") == b"one\n"
    net.idle(idle)
    dropping.numbers = set(range(dropping.count + 1, dropping.count + 1 + lost))
    net.client.write(b"two\n")
    assert net.go_on() == b"one\ntwo\n", net.outcome


class Frameless:
    """Loses every response that carries a transport continuation until a time; the plain ones come through."""

    def __init__(self) -> None:
        self.until = 0
        self.net: Net | None = None

    def __call__(self, datagram: bytes, upward: bool) -> Iterable[bytes]:
        framed = datagram[0] == Kind.RESPONSE and datagram[1] & ResponseFlag.TRANSPORT
        early = self.net is not None and self.net.now < self.until
        return () if framed and early and not upward else (datagram,)


def test_numbers_of_a_restart_that_was_given_up_are_no_part_of_any_proof() -> None:
    losing = Frameless()
    net = Net(fleet(Lines()), config=HOME, tamper=losing)
    losing.net = net
    assert len(net.run(b"get 30000\n")) == 30_000
    net.idle(5 * SECOND)
    losing.until = net.now + 3 * SECOND
    net.client.write(b"get 60000\n")
    assert bytes(net.go_on()) == tape(0, 30_000) + tape(0, 60_000), net.outcome
    assert [listener.counters["dropped.bad_proof"] for listener in net.listeners] == [0, 0]
    assert counted(net, "timeouts") > 0


@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_a_replica_that_died_while_nobody_asked_costs_a_probe(config: ClientConfig) -> None:
    net = Net(fleet(Ends()), config=config)
    assert net.run(b"one\n") == b"one\n"
    net.idle(40 * SECOND)
    net.replicas[0].kill()
    for line in (b"two\n", b"three\n"):
        net.client.write(line)
        net.go_on()
    assert net.received == b"one\ntwo\nthree\n", net.outcome


def test_when_no_replica_knows_the_epoch_any_more_it_gives_up() -> None:
    net = Net(fleet(File(CONTENT)), config=HOME)
    net.run(until_us=30_000)
    for listener in net.listeners:
        listener.replace_keyring(ring(2))
    net.go_on(until_us=90 * SECOND)
    assert net.outcome
    assert 1 * SECOND < net.now < 60 * SECOND


# refusals


class Stubborn:
    """Refuses the first requests, then serves."""

    def __init__(self, reason: Refusal, times: int) -> None:
        self.reason, self.times, self.served = reason, times, File(CONTENT)

    def handle(self, event: Event) -> Reply:
        self.times -= 1
        return Reply(refusal=self.reason) if self.times >= 0 else self.served.handle(event)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_busy_replica_is_asked_again_later(times: int) -> None:
    net = Net(fleet(Stubborn(Refusal.BUSY, times), 1), config=HOME)
    whole(net)


def test_content_that_is_not_here_is_elsewhere() -> None:
    here, there = fleet(Refusing(Refusal.NOT_HERE), 1), fleet(File(CONTENT), 1)
    for replicas in (here + there, there + here):
        whole(Net(replicas, config=HOME))


def test_one_address_may_stand_for_many_replicas_of_which_some_lack_the_content() -> None:
    whole(Net(fleet(Stubborn(Refusal.NOT_HERE, 5), 1), config=HOME))


class Behind(Stubborn):
    """Lacks the epoch of every continuation, so many times."""

    def handle(self, event: Event) -> Reply:
        return super().handle(event) if event.continuation else self.served.handle(event)


def test_one_address_may_stand_for_many_replicas_of_which_some_lack_the_epoch() -> None:
    whole(Net(fleet(Behind(Refusal.EPOCH, 25), 1), config=HOME))


def test_a_rotation_has_ten_seconds_to_reach_all_replicas() -> None:
    net = Net(fleet(Behind(Refusal.EPOCH, 10_000)), config=HOME)
    assert 0 < len(net.run()) < len(CONTENT)
    assert net.outcome == "no replica can continue"
    assert 10 * SECOND < net.now < 11 * SECOND


def test_content_that_is_nowhere_ends_the_connection() -> None:
    net = Net(fleet(Refusing(Refusal.NOT_HERE)), config=HOME)
    assert net.run() == b""
    assert net.outcome == "no replica can continue"
    assert net.now < 5 * SECOND


def test_what_is_gone_ends_the_connection_at_once() -> None:
    net = Net(fleet(Refusing(Refusal.GONE)), config=HOME)
    assert net.run() == b""
    assert net.outcome == "gone"
    assert net.now < SECOND


class Slow(Patient):
    """Thinks about the request for long, and knows the rest at once."""

    __slots__ = ()

    def handle(self, event: Event) -> Reply | Deferred:  # type: ignore[override]
        if event.early:
            return Reply()
        return super().handle(event) if event.continuation is None else File(CONTENT).handle(event)


def test_a_service_at_work_is_waited_for_without_bothering_another() -> None:
    service = Slow()
    net = Net(fleet(service), config=HOME)

    def work() -> None:
        if net.now > 8 * SECOND:
            for event, deferred in service.waiting:
                deferred.resolve(File(CONTENT).handle(event))
            service.waiting.clear()

    net.before_step = work
    whole(net)
    assert [listener.counters["answered"] > 1 for listener in net.listeners] == [True, False]
    assert counted(net, "refused_working") >= 3
    assert [counted(net, name) for name in ("probes", "repeats", "timeouts")] == [0, 0, 0]
