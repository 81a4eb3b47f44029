"""Clients that say that they have nothing more to ask: they get all their answers, and then the stream's end."""

from dataclasses import dataclass, field, replace

import pytest

from tests.simulation.services import Lines, request
from tests.support.worlds import HOME, SPRAY, client, listener
from trickles.client import ClientConfig
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    LinkSpec,
    Report,
    Scenario,
    Session,
    Simulation,
    for_seeds,
    run_transfer,
)
from trickles.testing.endpoints import data_of, is_end

LOSSY = replace(TEN_MEGABIT, loss=0.03, duplicate=0.03)

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
wires = pytest.mark.parametrize("wire", [TEN_MEGABIT, LOSSY], ids=["clean", "lossy"])


@dataclass(slots=True)
class Farewell:
    """Asks all at once, half-closes `later` (microseconds), and wants every answer and the end, in this order."""

    exchanges: list[tuple[bytes, bytes]]
    later: int = 0
    received: bytearray = field(default_factory=bytearray)

    def start(self, session: Session) -> None:
        """Asks."""
        session.engine.write(b"".join(asked for asked, _ in self.exchanges))
        if self.later:
            session.after(self.later, session.engine.write_eof)
        else:
            session.engine.write_eof()

    def receive(self, session: Session, event: object) -> None:
        """Compares at the end."""
        self.received += data_of(event) or b""
        if is_end(event):
            if self.received != b"".join(answer for _, answer in self.exchanges):
                session.fail(f"{len(self.received)} bytes, which are not the answers")
            session.finish()


def leaving(config: ClientConfig, wire: LinkSpec, exchanges: list[tuple[bytes, bytes]], later: int = 0) -> Scenario:
    """A conversation that ends."""

    def farewell(simulation: Simulation) -> Report:
        return run_transfer(
            simulation,
            listener(lambda birth: Lines()),
            client(config),
            Farewell(exchanges, later),
            replicas=2,
            up=wire,
            down=wire,
            max_time=60 * SECOND,
        )

    return farewell


@policies
@wires
@pytest.mark.parametrize("later", [0, 10, 40, 65, 80, 200, 3_000, 40_000])
def test_after_one_request(config: ClientConfig, wire: LinkSpec, later: int) -> None:
    scenario = leaving(config, wire, [request(1, 50_000)], later * MILLISECOND)
    for report in for_seeds(scenario, range(3)):
        assert report.duration < later * MILLISECOND + 3 * SECOND


@policies
@wires
@pytest.mark.parametrize("later", [0, 65, 300])
def test_after_many_requests_at_once(config: ClientConfig, wire: LinkSpec, later: int) -> None:
    exchanges = [request(number, size) for number, size in enumerate([10, 30_000, 1, 1_152, 20_000, 10])]
    for report in for_seeds(leaving(config, wire, exchanges, later * MILLISECOND), range(3)):
        assert report.duration < 5 * SECOND


@policies
@wires
@pytest.mark.parametrize("later", [0, 40, 65, 300])
def test_without_any_request(config: ClientConfig, wire: LinkSpec, later: int) -> None:
    for report in for_seeds(leaving(config, wire, [], later * MILLISECOND), range(3)):
        assert report.duration < later * MILLISECOND + 2 * SECOND
