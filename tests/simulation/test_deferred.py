"""Services that take their time: the client is told to be patient, and a handler that is at work is not run again."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.simulation.services import Lines, request
from tests.support.worlds import HOME, SPRAY, client, listener
from trickles.client import ClientConfig
from trickles.service import Deferred, Event, Reply
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Arrange,
    Birth,
    ClientHost,
    Conversation,
    LinkSpec,
    Report,
    Simulation,
    for_seeds,
    kill_at,
    outage,
    run_transfer,
)

After = Callable[[int, Callable[[], object]], None]

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
QUICK = [0, MILLISECOND, 20 * MILLISECOND, 100 * MILLISECOND]
SLOW = [400 * MILLISECOND, 3 * SECOND, 45 * SECOND]


@dataclass(slots=True)
class Slowly:
    """Lines that take time to answer; whatever needs no thought (more of an answer known already) is given at once.

    `begun` and `finished` note the requests that handlers were run for, over all replicas.
    """

    after: After
    time: int
    begun: list[bytes]
    finished: list[bytes]
    lines: Lines = field(default_factory=Lines)

    def handle(self, event: Event) -> Reply | Deferred:
        """Run a handler for each line, once asked."""
        line, newline, _ = event.input.partition(b"\n")
        if not newline:
            return self.lines.handle(event)
        self.begun.append(line)
        deferred = Deferred()
        self.after(self.time, lambda: self._finish(deferred, event, line))
        return deferred

    def _finish(self, deferred: Deferred, event: Event, line: bytes) -> None:
        self.finished.append(line)
        deferred.resolve(self.lines.handle(event))


@dataclass(slots=True)
class Case:
    """Three requests to a slow service; after a run `begun` and `finished` hold its handlers' story."""

    time: int
    config: ClientConfig = HOME
    wire: LinkSpec = TEN_MEGABIT
    size_bytes: int = 5_000
    replicas: int = 2
    arrange: Arrange | None = None
    begun: list[bytes] = field(default_factory=list)
    finished: list[bytes] = field(default_factory=list)

    def run(self, simulation: Simulation) -> Report:
        """One conversation."""
        self.begun, self.finished = [], []

        def serve(birth: Birth) -> Slowly:
            return Slowly(birth.after, self.time, self.begun, self.finished)

        return run_transfer(
            simulation,
            listener(serve),
            client(self.config),
            Conversation([request(number, self.size_bytes) for number in range(3)]),
            replicas=self.replicas,
            up=self.wire,
            down=self.wire,
            arrange=self.arrange,
        )


REQUESTS = [b"0 5000", b"1 5000", b"2 5000"]


@policies
@pytest.mark.parametrize("time", [*QUICK, *SLOW])
def test_a_handler_runs_once(config: ClientConfig, time: int) -> None:
    case = Case(time, config)
    (report,) = for_seeds(case.run, [1])
    assert case.begun == REQUESTS
    assert report.duration < 3 * time + SECOND


@policies
@pytest.mark.parametrize("time", [0, MILLISECOND, 20 * MILLISECOND])
@pytest.mark.parametrize("size_bytes", [10, 800, 1500, 2500, 3500])
def test_short_answers_wait_for_no_timer(config: ClientConfig, time: int, size_bytes: int) -> None:
    """Of three numbers that a hello is granted a late reply has two; the client must not wait for the third."""
    case = Case(time, config, size_bytes=size_bytes)
    (report,) = for_seeds(case.run, [1])
    round_trips = 1 + 3 + (size_bytes > 2000)  # the certificate, the answers, the rest of one
    assert report.duration < (round_trips + 1) * 30 * MILLISECOND + 3 * time


@policies
@pytest.mark.parametrize("time", [0, 100 * MILLISECOND, 3 * SECOND, 45 * SECOND])
def test_a_handler_that_runs_late_runs_once_on_a_long_path(config: ClientConfig, time: int) -> None:
    case = Case(time, config, replace(TEN_MEGABIT, delay=300 * MILLISECOND))
    (report,) = for_seeds(case.run, [1])
    assert case.begun == REQUESTS
    assert report.duration < 3 * time + 8 * SECOND


@pytest.mark.slow
@policies
@pytest.mark.parametrize("time", [*QUICK, 400 * MILLISECOND, 3 * SECOND, SLOW[-1]])
def test_answers_come_through_loss(config: ClientConfig, time: int) -> None:
    """What is lost may make another replica run a handler too, but not often."""
    case = Case(time, config, replace(TEN_MEGABIT, loss=0.05))
    begun = 0
    for seed in range(10):
        (report,) = for_seeds(case.run, [seed])
        begun += len(case.begun)
        assert report.duration < 6 * time + 20 * SECOND
    assert begun < 30 * 2


@policies
def test_a_replica_that_dies_at_work_is_replaced(config: ClientConfig) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        kill_at(simulation, simulation.replicas[0], 500 * MILLISECOND)

    case = Case(2 * SECOND, config, arrange=arrange)
    (report,) = for_seeds(case.run, [1])
    assert case.finished == REQUESTS
    assert len(case.begun) <= 4
    assert report.duration < 13 * SECOND


@pytest.mark.parametrize("when", range(310, 450, 20))
def test_a_replica_that_dies_at_work_costs_little_more_than_it_had_worked(when: int) -> None:
    """The second request, to which no greeting belongs, is at work from about 300 to 450 milliseconds."""

    def arrange(simulation: Simulation, client: ClientHost) -> None:
        kill_at(simulation, simulation.replicas[0], when * MILLISECOND)

    case = Case(150 * MILLISECOND, arrange=arrange)
    (report,) = for_seeds(case.run, [1])
    assert case.begun == [REQUESTS[0], REQUESTS[1], *REQUESTS[1:]]
    assert report.duration < 3 * 150 * MILLISECOND + 10 * 4 * TEN_MEGABIT.delay + 1_500 * MILLISECOND


@policies
def test_a_fleet_that_restarts_at_work_begins_anew(config: ClientConfig) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        for replica in simulation.replicas:
            outage(simulation, replica, 500 * MILLISECOND, 100 * MILLISECOND, unreachable=True)

    case = Case(2 * SECOND, config, arrange=arrange)
    (report,) = for_seeds(case.run, [1])
    assert sorted(set(case.finished)) == REQUESTS
    assert report.duration < 13 * SECOND


@policies
def test_caches_dropped_at_work_cost_no_more_than_another_run(config: ClientConfig) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        for replica in simulation.replicas:
            simulation.clock.after(500 * MILLISECOND, replica.drop_caches)

    case = Case(2 * SECOND, config, arrange=arrange)
    (report,) = for_seeds(case.run, [1])
    assert len(case.begun) <= 5
    assert report.duration < 15 * SECOND
