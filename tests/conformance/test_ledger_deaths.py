"""Ledgers and processes that are killed: claims of the dead are lost, and no job is ever done twice."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.support.ledger_houses import CLUSTERS, FILES, House
from tests.support.ledger_worker import LANES, NOW, key
from tests.support.loop import on_loop
from tests.support.namespaces import ip, machines
from tests.support.postgres import Cluster
from tests.support.processes import Program
from trickleweb.ledger import Claim, Done, Ledger, Lost, New, Pending
from trickleweb.stores.postgresql import PostgresLedger

pytestmark = [pytest.mark.e2e, CLUSTERS]


@pytest.fixture(params=FILES)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    make: Callable[[Path], AbstractContextManager[House]] = request.param
    with make(tmp_path) as made:
        yield made


def worker(house: House, folder: Path, mode: str, count: int) -> Program:
    return Program("tests.support.ledger_worker", house.name, folder / "effects", mode, count)


async def settled(ledger: Ledger, job: int) -> Claim:
    """The standing of a job once the death of its owner is known."""
    while (standing := await ledger.claim(key(job), now=NOW)) == Pending():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return standing


def test_a_killed_process_has_lost_its_claims_and_one_other_takes_each_over(house: House, tmp_path: Path) -> None:
    jobs = range(40)

    async def test(holder: Program) -> None:
        users = [house.user() for _ in range(3)]
        assert [await users[0].claim(key(job), now=NOW) for job in jobs] == [Pending()] * len(jobs)
        holder.kill()
        assert [await settled(users[1], job) for job in jobs] == [Lost()] * len(jobs)
        taken = await asyncio.gather(*(user.adopt(key(job), now=NOW) for job in jobs for user in users))
        assert taken.count(New()) == len(jobs)
        assert Lost() not in taken
        for user in users:
            await user.close()

    with worker(house, tmp_path, "hold", len(jobs)) as holder:
        assert sorted(int(holder.output.next()) for _ in jobs) == list(jobs)
        on_loop(test(holder))


@pytest.mark.slow
@pytest.mark.xdist_group("postgresql")
def test_a_process_whose_network_is_cut_off_has_lost_its_claims(tmp_path: Path) -> None:
    with machines() as made, ExitStack() as undo:
        made.cable("database", "replica", 1, mtu=1500)
        cluster = undo.enter_context(Cluster("fsync=off", namespace=made.name("database")))
        url = f"postgresql://tester@10.9.1.1:{cluster.port}/postgres"
        words = (url, tmp_path / "effects", "hold", 3)
        holder = undo.enter_context(Program("tests.support.ledger_worker", *words, namespace=made.name("replica")))
        assert sorted(int(holder.output.next()) for _ in range(3)) == [0, 1, 2]

        async def test() -> None:
            ledger = PostgresLedger(cluster.url())
            assert [await ledger.claim(key(job), now=NOW) for job in range(3)] == [Pending()] * 3
            ip("-n", made.name("replica"), "link", "set", made.device("replica", 1), "down")
            assert [await settled(ledger, job) for job in range(3)] == [Lost()] * 3
            await ledger.close()

        on_loop(test())


@pytest.mark.slow
def test_no_job_is_done_twice_whenever_processes_are_killed(house: House, tmp_path: Path) -> None:
    count, kills = 1000, 6
    for number in range(kills):
        with worker(house, tmp_path, "work", count) as victim:
            for _ in range(number * 150 + 7 * number + 1):  # so that it dies at another moment each time
                victim.output.next()
            victim.kill()
    effects = Counter(map(int, (tmp_path / "effects").read_text().split()))
    assert max(effects.values()) == 1

    async def test() -> None:
        ledger = house.user()
        standing = {job: await settled(ledger, job) for job in range(count)}
        lost = {job for job, each in standing.items() if each == Lost()}
        done = {job for job, each in standing.items() if each == Done(b"done %d" % job)}
        new = {job for job, each in standing.items() if each == New()}
        assert len(lost) + len(done) + len(new) == count
        assert len(lost) <= kills * LANES
        assert done <= effects.keys() <= done | lost
        await ledger.close()

    on_loop(test())
