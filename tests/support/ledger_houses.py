"""Every engine of the ledger in one shape, for the tests of what all of them promise."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.postgres import Cluster
from tests.support.redis import close_server, shared_server
from trickleweb.ledger import Ledger
from trickleweb.stores import MemoryLedger, SharedMemory, SqliteLedger
from trickleweb.stores.postgresql import PostgresLedger
from trickleweb.stores.redis import RedisLedger, RedisLimits
from trickleweb.stores.sharded import ShardedLedger


class House(NamedTuple):
    """One store: `user` makes a process's view of it, `stranger` one of another; `name` is for other processes."""

    user: Callable[[], Ledger]
    stranger: Callable[[], Ledger]
    name: str


@contextmanager
def memory(_: Path) -> Iterator[House]:
    shared, users = SharedMemory(), iter(range(1000))
    yield House(lambda: MemoryLedger(shared, f"{next(users)}"), MemoryLedger, "")


@contextmanager
def sqlite(folder: Path) -> Iterator[House]:
    path = folder / "ledger"
    yield House(lambda: SqliteLedger(path, durable=False), lambda: SqliteLedger(folder / "other"), str(path))


@contextmanager
def sharded(folder: Path) -> Iterator[House]:
    def made(name: str, order: int) -> Ledger:
        return ShardedLedger([SqliteLedger(folder / f"{name} {at}", durable=False) for at in range(3)[::order]])

    orders = itertools.cycle((1, -1))
    yield House(lambda: made("shard", next(orders)), lambda: made("other", 1), "shards")


_cluster: list[Cluster] = []  # one for all tests of this process
_schemas = iter(range(1000))


@contextmanager
def postgresql(_: Path) -> Iterator[House]:
    cluster = shared_cluster()
    first, second = (cluster.url(schema=f"test_{next(_schemas)}") for _ in range(2))
    yield House(lambda: PostgresLedger(first), lambda: PostgresLedger(second), first)


def shared_cluster() -> Cluster:
    """A server that no test may kill; it ends with the module (`CLUSTERS`)."""
    if not _cluster:
        _cluster.append(Cluster("fsync=off"))
    return _cluster[0]


def close_clusters() -> None:
    """End what `shared_cluster` and `shared_server` started."""
    while _cluster:
        _cluster.pop().close()
    close_server()


CLUSTERS = pytest.mark.usefixtures("clusters")  # of a module whose tests may use the shared server


@contextmanager
def redis(_: Path) -> Iterator[House]:
    first, second = (shared_server().url(prefix=f"ledger{next(_schemas)}") for _ in range(2))
    yield House(lambda: RedisLedger(first, QUICK), lambda: RedisLedger(second, QUICK), first)


QUICK = RedisLimits(lease_s=1.0)
ONE_SERVER = [pytest.mark.e2e, pytest.mark.xdist_group("postgresql")]
WITH_SERVER = [*ONE_SERVER, CLUSTERS]
FILES = [
    pytest.param(sqlite, id="sqlite"),
    pytest.param(postgresql, id="postgresql", marks=ONE_SERVER),
    pytest.param(redis, id="redis", marks=[pytest.mark.e2e, pytest.mark.xdist_group("redis")]),
]
ALL = [pytest.param(memory, id="memory"), pytest.param(sharded, id="sharded"), *FILES]
