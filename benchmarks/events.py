"""What do many parked event streams cost, how soon do events arrive, and what does a killed replica change?

So many streams on three replicas wait for events of some topics; a publisher on the same machine adds events to one
topic after another, and each is delivered to all streams of its topic. First nothing dies; then one replica is killed
(the supervisor starts another), and every event is counted: lost, twice, and the longest time one took to arrive.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, running
from benchmarks.peers.trickleweb_fleet import fleet_groups, run_argv, run_dir, trickleweb_missing
from benchmarks.support import procfs
from benchmarks.support.killer import Killer
from benchmarks.support.limits import raise_file_limit
from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import percentile
from benchmarks.support.tables import number, table
from benchmarks.support.watchers import Watcher, opened
from trickleweb.stores import SqliteTopics

PROGRAM = HttpServer("trickleweb", run_argv("benchmarks.peers.events_app:app"), trickleweb_missing, fleet_groups)
MILLI, MICRO = 1000, 1_000_000


@dataclass(frozen=True, slots=True)
class Phase:
    """What came of one phase; times in seconds."""

    name: str
    delivered: int
    expected: int
    lost: int
    twice: int
    ended: int
    p50: float
    p99: float
    longest: float


class Bench:
    """Streams of one fleet, and what was delivered since the phase began."""

    def __init__(self, server: Running, options: argparse.Namespace) -> None:
        self._server = server
        self._options = options
        self._took: list[float] = []
        self._watchers: list[Watcher] = []
        self._numbers = [0] * options.topics

    async def measure(self, outcome: Outcome) -> list[Phase]:
        topics = SqliteTopics(run_dir(self._server.place) / "topics.sqlite")
        try:
            for each in await opened(
                self._server.place.port, 100, 1, lambda *_: None
            ):  # so that all modules are loaded
                each.close()
            before = self._memory()
            began = time.monotonic()
            streams, count = self._options.streams, self._options.topics
            self._watchers = await opened(self._server.place.port, streams, count, self._delivered)
            outcome.figures["seconds to open"] = time.monotonic() - began
            outcome.figures["not opened"] = streams - len(self._watchers)
            worked = self._cpu()
            await asyncio.sleep(self._options.settle)
            for name, seconds in self._cpu().items():
                spent = MICRO * (seconds - worked[name]) / max(streams * self._options.settle, 1)
                outcome.figures[f"{name} CPU us a second for each stream"] = spent
            after = self._memory()
            for name, size in after.items():
                outcome.figures[f"{name} bytes a stream"] = (size - before[name]) / streams
            found = [await self._phase("undisturbed", topics)]
            killer = Killer(self._server.live_replicas, self._options.seconds / 4, self._options.seed, most=1)
            killer.start()
            found.append(await self._phase("a replica killed", topics))
            killer.stop()
            return found
        finally:
            for each in self._watchers:
                each.close()
            await topics.close()

    async def _phase(self, name: str, topics: SqliteTopics) -> Phase:
        self._took.clear()
        lost, twice = self._counts()
        first, before = sum(self._numbers), list(self._numbers)
        loop, start = asyncio.get_running_loop(), time.monotonic()
        for at in range(int(self._options.seconds * self._options.rate)):
            await asyncio.sleep(max(start + at / self._options.rate - loop.time(), 0))
            topic = (first + at) % self._options.topics
            self._numbers[topic] += 1
            data = f"{self._numbers[topic]} {time.monotonic_ns()}".encode()
            await topics.publish(f"topic-{topic}", data)
        expected = sum(self._numbers[each.topic] - before[each.topic] for each in self._watchers)
        deadline = loop.time() + self._options.patience
        while len(self._took) < expected and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        now_lost, now_twice = self._counts()
        took = self._took or [float("inf")]
        ended = sum(each.ended for each in self._watchers)
        return Phase(
            name, len(self._took), expected, now_lost - lost, now_twice - twice, ended, percentile(took, 50),
            percentile(took, 99), max(took),
        )  # fmt: skip

    def _delivered(self, published: float, now: float) -> None:
        self._took.append(now - published)

    def _counts(self) -> tuple[int, int]:
        """Events lost and delivered twice; what is missing at the end of a stream is lost too."""
        missing = sum(self._numbers[each.topic] - each.last for each in self._watchers)
        return sum(each.lost for each in self._watchers) + missing, sum(each.twice for each in self._watchers)

    def _cpu(self) -> dict[str, float]:
        return {name: procfs.cpu_seconds(pids) for name, pids in self._server.groups().items()}

    def _memory(self) -> dict[str, int]:
        return {name: procfs.resident_bytes(pids) for name, pids in self._server.groups().items()}


def show(phases: Sequence[Phase], figures: dict[str, object]) -> None:
    """Print the table."""
    memory = ", ".join(
        f"{name}: {number(value)}" if isinstance(value, float) else f"{name}: {value}"
        for name, value in figures.items()
    )
    print(memory)
    columns = ["phase", "delivered", "of", "lost", "twice", "ended", "p50 ms", "p99 ms", "longest ms"]
    cells = [
        [each.name, *(number(value, 0) for value in (each.delivered, each.expected, each.lost, each.twice, each.ended)),
         *(number(value * MILLI, 0) for value in (each.p50, each.p99, each.longest))]
        for each in phases
    ]  # fmt: skip
    print(table("Parked event streams on three replicas", columns, cells))


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks events", description=__doc__)
    options.add_argument("--streams", type=int, default=10_000, help="streams at once")
    options.add_argument("--topics", type=int, default=1000, help="that they watch, evenly")
    options.add_argument("--rate", type=float, default=20, help="events published a second")
    options.add_argument("--seconds", type=float, default=10, help="of each phase")
    options.add_argument("--settle", type=float, default=16, help="seconds between opening and publishing: a heartbeat")
    options.add_argument("--patience", type=float, default=15, help="seconds for the last events")
    options.add_argument("--seed", type=int, default=1)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every event arrived once."""
    options, outcome = parser().parse_args(argv), Outcome()
    options.streams = min(options.streams, raise_file_limit() // 2)  # a gateway has two sockets for each
    phases: list[Phase] = []
    with tempfile.TemporaryDirectory(prefix="bench-events-") as folder, running(PROGRAM, Path(folder)) as server:
        try:
            phases = asyncio.run(Bench(server, options).measure(outcome))
        except (OSError, ChildFailed) as error:
            outcome.fail(f"events: {error}")
    show(phases, outcome.figures)
    for each in phases:
        if each.lost or each.twice:
            outcome.fail(f"events: {each.name}: {each.lost} lost, {each.twice} twice")
    outcome.figures["phases"] = [asdict(each) for each in phases]
    save("events", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
