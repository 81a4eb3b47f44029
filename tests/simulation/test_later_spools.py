"""Uploads to a store over a network: receipts come later, and committed input is fetched before it is read."""

from dataclasses import dataclass, field

import pytest

from tests.simulation.test_uploads import ANSWER, BODY, LOSSY, Streaming, Whole
from tests.support.spools import LaterSpool
from tests.support.worlds import HOME, KEYS, SPRAY, client
from trickles.client import ClientConfig
from trickles.listener import Listener
from trickles.spool import MemorySpool
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
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


@dataclass(slots=True)
class Later:
    """One upload to replicas that share a store at some distance."""

    service: type[Whole] | type[Streaming]
    config: ClientConfig
    delay: int = 5 * MILLISECOND
    wire: LinkSpec = TEN_MEGABIT
    kill: bool = False
    wrong: list[int] = field(default_factory=list)

    def run(self, simulation: Simulation) -> Report:
        """To the end or a failure."""
        self.wrong, store = [], MemorySpool()

        def born(birth: Birth) -> Listener:
            spool = LaterSpool(store, lambda call: birth.after(self.delay, call))
            service = self.service(BODY, self.wrong)
            return Listener(KEYS, service, entropy=birth.entropy, spool=spool)

        def arrange(simulation: Simulation, client: ClientHost) -> None:
            if self.kill:
                kill_at(simulation, simulation.replicas[0], 150 * MILLISECOND)

        report = run_transfer(
            simulation,
            born,
            client(self.config),
            Fetch(BODY, ANSWER),
            replicas=2,
            up=self.wire,
            down=self.wire,
            arrange=arrange,
            max_time=120 * SECOND,
        )
        assert self.wrong == []
        return report


@pytest.mark.slow
@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
@pytest.mark.parametrize("service", [Whole, Streaming])
@pytest.mark.parametrize(
    "case",
    [{}, {"wire": LOSSY}, {"delay": 300 * MILLISECOND}, {"kill": True}],
    ids=["near", "loss", "far", "kill"],
)
def test_an_upload_to_a_store_at_a_distance(service: type[Whole], config: ClientConfig, case: dict[str, int]) -> None:
    for report in for_seeds(Later(service, config, **case).run, range(3)):  # type: ignore[arg-type]
        assert report.completed, report.failure
