"""Uploads whose stores are several, or lose what they had: sent again, or a failure that says so; never other bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from tests.simulation.test_uploads import ANSWER, BODY, Streaming, Whole
from tests.support.inside import parts
from tests.support.worlds import HOME, KEYS, SPRAY, client, content
from trickles.client import Client, ClientConfig
from trickles.client.parts import Parts
from trickles.limits import DEFAULT_LIMITS
from trickles.listener import Listener
from trickles.service import Continuation, Event, Reply
from trickles.spool import MemorySpool
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Arrange,
    Birth,
    ClientHost,
    Fetch,
    LinkSpec,
    Report,
    Simulation,
    for_seeds,
    kill_at,
    run_transfer,
)

both = pytest.mark.parametrize("service", [Whole, Streaming])
FEW = replace(HOME, limits=replace(DEFAULT_LIMITS, kept_input_bytes=50_000))
LARGE = content(600_000)


def apart(count: int) -> Callable[[int], MemorySpool]:
    """A store for each replica, as machines have."""
    stores = [MemorySpool(identity=bytes((number,)) * 32) for number in range(count)]
    return lambda index: stores[index]


@dataclass(slots=True)
class Upload:
    """One upload to replicas whose spools `spool` gives; `wrong` must stay empty."""

    service: type[Whole] | type[Streaming]
    config: ClientConfig = HOME
    replicas: int = 2
    body: bytes = BODY
    wire: LinkSpec = TEN_MEGABIT
    arrange: Arrange | None = None
    answer: bytes = ANSWER
    spool: Callable[[int], MemorySpool | None] = field(default_factory=lambda: apart(3))
    wrong: list[int] = field(default_factory=list)

    def run(self, simulation: Simulation) -> Report:
        """To the end or a failure."""
        self.wrong = []

        def born(birth: Birth) -> Listener:
            service = self.service(self.body, self.wrong)
            return Listener(KEYS, service, entropy=birth.entropy, spool=self.spool(birth.index))

        report = run_transfer(
            simulation,
            born,
            client(self.config),
            Fetch(self.body, self.answer),
            replicas=self.replicas,
            up=self.wire,
            down=self.wire,
            arrange=self.arrange,
            max_time=120 * SECOND,
        )
        assert self.wrong == []
        return report


def state_of(client: ClientHost) -> Parts:
    assert isinstance(client.engine, Client)
    return parts(client.engine)


def times_repeated(report: Report) -> int:
    assert isinstance(report.engine, Mapping)
    return int(report.engine.get("uploads_repeated", 0))


@pytest.mark.slow
@both
@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_machines_with_a_store_each(service: type[Whole], config: ClientConfig) -> None:
    for report in for_seeds(Upload(service, config).run, range(5)):
        assert report.completed, report.failure


@pytest.mark.slow
@both
def test_a_machine_that_dies_with_its_store(service: type[Whole]) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        kill_at(simulation, simulation.replicas[0], 150 * MILLISECOND)

    for report in for_seeds(Upload(service, arrange=arrange).run, range(5)):
        assert report.completed, report.failure
        assert times_repeated(report) >= 1


@pytest.mark.slow
@both
def test_a_store_that_loses_everything_now_and_then(service: type[Whole]) -> None:
    store = MemorySpool()

    def arrange(simulation: Simulation, client: ClientHost) -> None:
        for at in (100, 180, 300):
            simulation.clock.after(at * MILLISECOND, lambda: store.lose(state_of(client).session.identity))

    for report in for_seeds(Upload(service, spool=lambda _: store, arrange=arrange).run, range(5)):
        assert report.completed, report.failure


def test_an_upload_that_is_not_at_hand_any_more_fails_with_the_reason() -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        kill_at(simulation, simulation.replicas[0], 300 * MILLISECOND)

    report = Upload(Whole, FEW, body=LARGE, arrange=arrange).run(Simulation(1))
    assert (report.completed, report.failure) == (False, "input lost: upload it again")


def test_what_is_not_kept_costs_no_memory() -> None:
    sizes: list[int] = []

    def arrange(simulation: Simulation, client: ClientHost) -> None:
        simulation.clock.every(10 * MILLISECOND, lambda: sizes.append(kept(client)))

    def kept(client: ClientHost) -> int:
        queue = state_of(client).input
        return len(queue.peek(0, queue.held))

    report = Upload(Whole, FEW, body=LARGE, arrange=arrange, spool=lambda _: STORE).run(Simulation(1))
    assert report.completed
    assert 0 < max(sizes) <= 50_000


STORE = MemorySpool()


class Apologetic(Whole):
    """As `Whole`; and it has something to say to a client that has lost its input."""

    def handle(self, event: Event) -> Reply:
        """Answer that too."""
        if event.input_lost:
            known = Continuation(b"sorry", 0, len(SORRY), event.input_offset)
            return Reply(((0, SORRY),), known, len(SORRY))
        return super().handle(event)


SORRY = b"send it again"


def test_a_service_may_answer_for_input_that_is_lost() -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        kill_at(simulation, simulation.replicas[0], 300 * MILLISECOND)

    report = Upload(Apologetic, FEW, body=LARGE, arrange=arrange, answer=SORRY).run(Simulation(1))
    assert report.completed, report.failure


def test_stores_that_never_agree_are_given_up() -> None:
    """One address stands for machines with a store each, and the network takes turns: as spraying by ECMP does."""
    stores = apart(2)
    turn = 0

    class Alternating(MemorySpool):
        def write(self, owner: bytes, host: bytes, offset: int, data: bytes) -> bytes:  # type: ignore[override]
            nonlocal turn
            turn += 1
            return stores(turn % 2).write(owner, host, offset, data)

    spool = Alternating(identity=stores(0).identity)
    report = Upload(Whole, replicas=1, spool=lambda _: spool).run(Simulation(1))
    assert (report.completed, report.failure) == (False, "input lost: upload it again")
    assert times_repeated(report) == 8


@pytest.mark.slow
def test_a_fleet_of_which_one_has_no_store() -> None:
    """Pieces that were taken by one replica are not skipped when another one says that it takes none."""
    store = MemorySpool()
    upload = Upload(Streaming, SPRAY, spool=lambda index: store if index == 0 else None)
    for report in for_seeds(upload.run, range(5)):
        assert report.completed, report.failure
