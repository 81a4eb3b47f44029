"""Input larger than a packet: pieces to a spool that the replicas share, whichever of them is alive, bytes exact."""

from dataclasses import dataclass, field, replace

import pytest

from tests.simulation.services import answer, served
from tests.support.worlds import HOME, SPRAY, client, content, listener
from trickles.client import ClientConfig
from trickles.service import Continuation, Event, Reply
from trickles.spool import MemorySpool, SpoolFull
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Application,
    Arrange,
    ClientHost,
    Fetch,
    LinkSpec,
    Report,
    Session,
    Simulation,
    for_seeds,
    kill_at,
    kill_at_random,
    outage,
    run_transfer,
)
from trickles.testing.endpoints import data_of, is_end

BODY = content(300_000)
ANSWER = answer(b"0 20000")
LOSSY = replace(TEN_MEGABIT, loss=0.02)

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])


@dataclass(slots=True)
class Whole:
    """Waits until all input is there, reads it through the spool, and answers once."""

    expected: bytes
    wrong: list[int]

    def handle(self, event: Event) -> Reply:
        """Answer when the input ends."""
        known, new = event.continuation, None
        if event.input_end and event.input_stop == len(self.expected) and known is None:
            if self._read(event) != self.expected:
                self.wrong.append(event.input_offset)
            known = new = Continuation(b"done", 0, len(ANSWER), event.input_stop)
        chunks = () if known is None else tuple(served(known, ANSWER, event.wants))
        return Reply(chunks, new, None if known is None else len(ANSWER))

    def _read(self, event: Event) -> bytes:
        if event.spooled is None:
            return event.input
        return event.spooled.read(event.spooled.start, event.spooled.stop)


@dataclass(slots=True)
class Streaming:
    """Consumes input as it comes, an event's worth at a time, and answers at its end."""

    expected: bytes
    wrong: list[int]

    def handle(self, event: Event) -> Reply:
        """Consume what is there; a continuation without output says how far that is."""
        known, new = event.continuation, None
        start, stop = event.input_offset, event.input_offset + len(event.input)
        if known is not None and known.state == b"done":
            return Reply(tuple(served(known, ANSWER, event.wants)), None, len(ANSWER))
        if event.input != self.expected[start:stop] or (known is not None and start != known.consumed):
            self.wrong.append(start)
        if event.input_end and stop == len(self.expected):
            known = new = Continuation(b"done", 0, len(ANSWER), stop)
            return Reply(tuple(served(known, ANSWER, event.wants)), new, len(ANSWER))
        if event.input:
            new = Continuation(b"reading", 0, 0, stop)
        return Reply((), new)


@dataclass(slots=True)
class Dribble:
    """An application that writes its input in parts, one each `pause` microseconds, and half-closes then or never."""

    parts: list[bytes]
    pause: int
    received: bytearray = field(default_factory=bytearray)

    def start(self, session: Session) -> None:
        """Writes the first part."""
        self._write(session)

    def receive(self, session: Session, event: object) -> None:
        """Collects the answer."""
        self.received += data_of(event) or b""
        if is_end(event):
            if self.received != ANSWER:
                session.fail("wrong answer")
            session.finish()

    def _write(self, session: Session) -> None:
        session.engine.write(self.parts.pop(0))
        if self.parts:
            session.after(self.pause, lambda: self._write(session))
        else:
            session.engine.write_eof()


@dataclass(slots=True)
class Upload:
    """One upload; `wrong` holds offsets at which a service saw input that was never written."""

    service: type[Whole] | type[Streaming] = Whole
    config: ClientConfig = HOME
    wire: LinkSpec = TEN_MEGABIT
    replicas: int = 2
    body: bytes = BODY
    arrange: Arrange | None = None
    most_bytes: int = 1 << 26
    application: Application | None = None
    wrong: list[int] = field(default_factory=list)

    def run(self, simulation: Simulation) -> Report:
        """All replicas share one spool; nothing wrong may have been seen."""
        self.wrong = []
        report = run_transfer(
            simulation,
            listener(lambda birth: self.service(self.body, self.wrong), spool=MemorySpool(self.most_bytes)),
            client(self.config),
            self.application or Fetch(self.body, ANSWER),
            replicas=self.replicas,
            up=self.wire,
            down=self.wire,
            arrange=self.arrange,
            max_time=120 * SECOND,
        )
        assert self.wrong == []
        return report


both = pytest.mark.parametrize("service", [Whole, Streaming])


@both
@policies
def test_an_upload_takes_no_longer_than_a_download(service: type[Whole], config: ClientConfig) -> None:
    (report,) = for_seeds(Upload(service, config).run, [1])
    assert report.duration < 1 * SECOND  # 300 kB at 10 Mbit/s take 0.27 s


@pytest.mark.slow
@both
@policies
def test_an_upload_through_loss(service: type[Whole], config: ClientConfig) -> None:
    reports = for_seeds(Upload(service, config, LOSSY).run, range(10))
    assert sum(report.duration for report in reports) < 10 * 5 * SECOND


@pytest.mark.slow
@both
@policies
def test_an_upload_while_replicas_die_and_return(service: type[Whole], config: ClientConfig) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        kill_at_random(simulation, simulation.replicas, every=100 * MILLISECOND, down=70 * MILLISECOND)

    reports = for_seeds(Upload(service, config, LOSSY, replicas=3, arrange=arrange).run, range(10, 20))
    assert sum(report.duration for report in reports) < 10 * 10 * SECOND


@pytest.mark.slow
@both
def test_an_upload_on_an_awful_path(service: type[Whole]) -> None:
    awful = replace(LOSSY, reorder=0.05, duplicate=0.05, corrupt=0.02, jitter=2_000)
    for report in for_seeds(Upload(service, SPRAY, awful).run, range(10)):
        assert report.completed


@both
def test_an_upload_that_no_replica_survives(service: type[Whole]) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        for replica in simulation.replicas:
            outage(simulation, replica, 200 * MILLISECOND, 3 * SECOND)

    (report,) = for_seeds(Upload(service, arrange=arrange).run, [1])
    assert 3 * SECOND < report.duration < 8 * SECOND


@both
def test_a_last_try_finds_replicas_that_are_back_shortly_before_the_end(service: type[Whole]) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        for replica in simulation.replicas:
            outage(simulation, replica, 200 * MILLISECOND, 29_500 * MILLISECOND)

    (report,) = for_seeds(Upload(service, arrange=arrange).run, [1])
    assert report.duration < 35 * SECOND


@both
@pytest.mark.parametrize("living", [1, 2])
def test_an_upload_finds_the_one_that_lives(service: type[Whole], living: int) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        for replica in simulation.replicas:
            if replica.index != living:
                kill_at(simulation, replica, 200 * MILLISECOND)

    (report,) = for_seeds(Upload(service, replicas=3, arrange=arrange).run, [1])
    assert report.duration < 5 * SECOND


@both
@pytest.mark.parametrize("host", [False, True], ids=["port", "address"])
def test_an_upload_from_a_moving_client(service: type[Whole], host: bool) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        simulation.clock.every(SECOND, lambda: client.rebind(host=host), first=200 * MILLISECOND)

    slow = replace(TEN_MEGABIT, rate=1_000_000)
    (report,) = for_seeds(Upload(service, wire=slow, arrange=arrange).run, [1])
    assert report.duration < 8 * SECOND


@both
@pytest.mark.parametrize("size_bytes", [1, 500, 900, 1_000, 1_100, 1_200, 2_000, 5_000])
def test_uploads_around_the_size_of_a_packet(service: type[Whole], size_bytes: int) -> None:
    (report,) = for_seeds(Upload(service, body=BODY[:size_bytes]).run, [1])
    assert report.duration < SECOND


@both
@pytest.mark.parametrize("wire", [TEN_MEGABIT, LOSSY], ids=["clean", "lossy"])
@pytest.mark.parametrize("part", [100, 700, 20_000])
def test_input_that_is_written_bit_by_bit(service: type[Whole], part: int, wire: LinkSpec) -> None:
    body = BODY[: 50 * part]
    for seed in range(3):
        parts = [body[at : at + part] for at in range(0, len(body), part)]
        upload = Upload(service, SPRAY, wire, body=body, application=Dribble(parts, 20 * MILLISECOND))
        (report,) = for_seeds(upload.run, [seed])
        assert report.duration < 10 * SECOND


def test_an_upload_that_the_spool_cannot_hold_fails_visibly() -> None:
    report = Upload(Whole, most_bytes=100_000).run(Simulation(1))
    assert (report.completed, report.failure) == (False, "spool full")


def test_the_spool_refuses_what_does_not_fit() -> None:
    with pytest.raises(SpoolFull):
        MemorySpool(10).write(b"c", b"h", 5, b"123456")


@pytest.mark.slow
@both
@policies
def test_many_uploads_through_loss_and_deaths(service: type[Whole], config: ClientConfig) -> None:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        kill_at_random(simulation, simulation.replicas, every=100 * MILLISECOND, down=70 * MILLISECOND)

    for_seeds(Upload(service, config, LOSSY, replicas=3, arrange=arrange).run, range(100, 150))
