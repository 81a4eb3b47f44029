"""Flow control: a reader that is slower than its path holds no more than its receive window, and loses no time."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.support.inside import parts
from tests.support.worlds import HOME, REQUEST, SPRAY, client, content, files
from trickles.client import Client, ClientConfig
from trickles.limits import Limits
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    ClientHost,
    Fetch,
    LinkSpec,
    Report,
    Simulation,
    for_seeds,
    run_transfer,
)

KIBI = 1 << 10
BODY = content(500_000)

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
windows = pytest.mark.parametrize("window", [4 * KIBI, 16 * KIBI, 64 * KIBI, 256 * KIBI])


def held_bytes(engine: Client) -> int:
    """Bytes of output in a client's memory: in order and not taken, or waiting for what is missing before them."""
    output = parts(engine).output.arrived
    return output.ready_bytes + sum(map(len, output._pieces.values()))


@dataclass(slots=True)
class Reader:
    """A download by a slow reader; `most` is the largest buffer that was seen, looking every millisecond."""

    config: ClientConfig
    read_rate: int | None
    wire: LinkSpec = TEN_MEGABIT
    pauses: Callable[[ClientHost], object] | None = None
    most: int = 0

    def run(self, simulation: Simulation) -> Report:
        """Two replicas, one reader."""

        def arrange(simulation: Simulation, client: ClientHost) -> None:
            simulation.clock.every(MILLISECOND, lambda: self._look(client))
            if self.pauses is not None:
                self.pauses(client)

        return run_transfer(
            simulation,
            files(BODY),
            client(self.config),
            Fetch(REQUEST, BODY, read_rate=self.read_rate),
            replicas=2,
            up=self.wire,
            down=self.wire,
            arrange=arrange,
            max_time=300 * SECOND,
        )

    def _look(self, client: ClientHost) -> None:
        engine = client.engine
        assert isinstance(engine, Client)
        self.most = max(self.most, held_bytes(engine))


def windowed(config: ClientConfig, window: int) -> ClientConfig:
    """That configuration with a receive window of so many bytes."""
    return replace(config, limits=Limits(receive_window_bytes=window))


@policies
@windows
def test_a_slow_reader_holds_one_window_and_is_never_hungry(config: ClientConfig, window: int) -> None:
    reader = Reader(windowed(config, window), read_rate=100_000)
    (report,) = for_seeds(reader.run, [1])
    assert reader.most <= window
    hungry = 1.5 if window < 16 * KIBI else 1.1  # a window is read at once, and a round trip passes until more comes
    assert report.duration < hungry * 5 * SECOND


@pytest.mark.slow
@policies
@windows
def test_loss_behind_a_full_window(config: ClientConfig, window: int) -> None:
    reader = Reader(windowed(config, window), 100_000, replace(TEN_MEGABIT, loss=0.05, reorder=0.02))
    for report in for_seeds(reader.run, range(3)):
        assert reader.most <= window
        assert report.duration < 15 * SECOND


@policies
def test_a_reader_that_stops_for_a_while(config: ClientConfig) -> None:
    """Nothing is sent while the window is full; the transfer goes on at once when it opens."""

    def pauses(client: ClientHost) -> None:
        client.world.clock.after(150 * MILLISECOND, lambda: client.pause(20 * SECOND))

    reader = Reader(windowed(config, 64 * KIBI), None, pauses=pauses)
    (report,) = for_seeds(reader.run, [1])
    assert reader.most <= 64 * KIBI
    assert report.duration < 22 * SECOND
    assert report.client.sent < 800


@policies
@windows
def test_a_window_smaller_than_the_path_holds_limits_the_rate_and_no_more(config: ClientConfig, window: int) -> None:
    reader = Reader(windowed(config, window), None, replace(TEN_MEGABIT, delay=100 * MILLISECOND))
    (report,) = for_seeds(reader.run, [1])
    round_trips = len(BODY) / window
    assert report.duration < (2 * round_trips + 12) * 200 * MILLISECOND
