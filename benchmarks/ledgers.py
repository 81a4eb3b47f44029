"""How many claims a second does a ledger take, of SQLite in a file, and of PostgreSQL and Redis on the same disk, by
turns?

One process, as one replica: lanes that claim fresh keys (`claim`), or claim and complete them with a small plan
(`request`). All engines are durable: SQLite syncs each claim, PostgreSQL has fsync and synchronous_commit on, Redis
appendfsync always; servers are started for the run. Times are of one claim in milliseconds. More `--processes` share
one ledger; their claims are added up.
"""

import argparse
import asyncio
import multiprocessing
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import median, paired_ratio, percentile, rotated
from benchmarks.support.tables import number, table, times
from tests.support.postgres import Cluster
from tests.support.redis import RedisServer
from trickleweb.ledger import Ledger, New
from trickleweb.stores import SqliteLedger
from trickleweb.stores.postgresql import PostgresLedger
from trickleweb.stores.redis import RedisLedger

SQLITE, POSTGRESQL, REDIS = "SQLite", "PostgreSQL", "Redis"
WORK = ("claim", "request")
PLAN = bytes(300)

Run = tuple[int, list[float]]  # wrong claims, and the time of each in seconds


def opened(engine: str, place: str) -> Ledger:
    if engine == REDIS:
        return RedisLedger(place)
    return PostgresLedger(place) if engine == POSTGRESQL else SqliteLedger(place)


async def claims(ledger: Ledger, work: str, lanes: int, seconds: float) -> Run:
    """Claim for so long."""
    wrong, took = 0, list[float]()
    await ledger.find(bytes(32))  # connects
    end = time.perf_counter() + seconds

    async def lane() -> None:
        nonlocal wrong
        while (began := time.perf_counter()) < end:
            key, now = secrets.token_bytes(32), time.time_ns() // 1000
            wrong += await ledger.claim(key, now=now) != New()
            took.append(time.perf_counter() - began)
            if work == "request":
                wrong += await ledger.complete(key, PLAN, now=now) != PLAN

    await asyncio.gather(*(lane() for _ in range(lanes)))
    return wrong, took


def run(engine: str, place: str, work: str, lanes: int, seconds: float) -> Run:
    """One process's share."""

    async def whole() -> Run:
        ledger = opened(engine, place)
        try:
            return await claims(ledger, work, lanes, seconds)
        finally:
            await ledger.close()

    return asyncio.run(whole())


def measure(options: argparse.Namespace, places: dict[str, str], outcome: Outcome) -> dict[tuple[str, str], list[Run]]:
    """All rounds of all engines, by turns."""
    runs: dict[tuple[str, str], list[Run]] = {(engine, work): [] for work in WORK for engine in places}
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for turn in range(options.rounds):
            for engine, work in rotated(list(runs), turn):
                share = (engine, places[engine], work, options.lanes, options.seconds)
                parts = pool.starmap(run, [share] * options.processes, chunksize=1)
                runs[engine, work].append(
                    (sum(wrong for wrong, _ in parts), [each for _, took in parts for each in took])
                )
    for (engine, work), rounds in runs.items():
        if any(wrong for wrong, _ in rounds):
            outcome.fail(f"{engine}, {work}: a fresh key was not new")
    return runs


def summary(options: argparse.Namespace, runs: dict[tuple[str, str], list[Run]]) -> list[dict[str, object]]:
    rows = []
    for (engine, work), rounds in runs.items():
        rates = [len(took) / options.seconds for _, took in rounds]
        ours = [len(took) / options.seconds for _, took in runs[SQLITE, work]]
        all_took = [1000 * each for _, took in rounds for each in took]
        figures = {"rate": median(rates), "p50": percentile(all_took, 50), "p99": percentile(all_took, 99)}
        rows.append({"engine": engine, "work": work, **figures, "ratio": paired_ratio(rates, ours)})
    return rows


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks ledgers", description=__doc__)
    options.add_argument("--lanes", type=int, default=16, help="concurrent requests of a process (default: 16)")
    options.add_argument("--processes", type=int, default=1, help="replicas (default: 1)")
    options.add_argument("--seconds", type=float, default=3.0, help="of each run (default: 3)")
    options.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if each fresh key was new."""
    options, outcome = parser().parse_args(argv), Outcome()
    with ExitStack() as undo:
        folder = tempfile.mkdtemp(prefix="ledgers")
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        places = {SQLITE: str(Path(folder) / "ledger")}
        if shutil.which("postgres") or list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
            places[POSTGRESQL] = undo.enter_context(Cluster("max_connections=300")).url()
        else:
            outcome.skip(POSTGRESQL, "there is no server (Debian: apt install postgresql)")
        if shutil.which("redis-server"):
            places[REDIS] = undo.enter_context(RedisServer("appendfsync always")).url()
        else:
            outcome.skip(REDIS, "there is no server (Debian: apt install redis-server)")
        rows = summary(options, measure(options, places, outcome))
    head = ("engine, work", "claims/s", "p50 ms", "p99 ms", "x SQLite")
    show: Callable[[object], str] = lambda value: number(float(str(value)), 1)  # noqa: E731
    body = [
        (
            f"{row['engine']}, {row['work']}",
            show(row["rate"]),
            show(row["p50"]),
            show(row["p99"]),
            times(float(str(row["ratio"]))),
        )
        for row in rows
    ]
    print(table(f"ledgers, {options.processes} x {options.lanes} lanes", head, body))
    outcome.figures["rows"] = rows
    save("ledgers", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
