"""Downloads begun before their file was hashed, by the real engines: other machines go on with them once it is."""

from pathlib import Path
from random import Random

import pytest

from tests.support.net import HOME, SPRAY, Net
from tests.support.origins import FileServer, begun, body, get, origin
from tests.support.site_folder import fill, store
from tests.support.worlds import listener
from trickles.client import ClientConfig
from trickles.service import Event, Refusal, Reply
from trickleweb.files import StoreLimits
from trickleweb.files.hashing import HashJob

LARGE = Random(3).randbytes(2_000_000)
CLOSE = "Connection: close"


class Machine:
    """An origin over a copy of the file, which it hashes when it is told to."""

    def __init__(self, root: Path) -> None:
        self.jobs: list[HashJob] = []
        files = store(fill(root, {"large.bin": LARGE}), defer=self.jobs.append, inline_bytes=0, limits=StoreLimits())
        self.origin: FileServer = origin(root, files=files)

    def hash(self) -> None:
        while self.jobs:
            self.jobs.pop().run()


class Handover:
    """One machine answers first; it hashes the file at one event, and from another one on there is only the other."""

    def __init__(self, one: Machine, other: Machine, hashed_at: int, gone_at: int) -> None:
        self.one, self.other, self.hashed_at, self.gone_at = one, other, hashed_at, gone_at
        self.events = 0
        self.refusals: set[Refusal | None] = set()

    def handle(self, event: Event) -> Reply:
        """Ask whoever is there."""
        self.events += 1
        if self.events == self.hashed_at:
            self.one.hash()
        reply = (self.one if self.events < self.gone_at else self.other).origin.handle(event)
        self.refusals.add(reply.refusal)
        return reply


def visited(tmp_path: Path, config: ClientConfig, hashed_at: int, gone_at: int, seed: int) -> tuple[Net, Handover]:
    one, other = Machine(tmp_path / "one"), Machine(tmp_path / "other")
    begun(other.origin, get("/large.bin"))
    other.hash()
    service = Handover(one, other, hashed_at, gone_at)
    return Net([listener(service)], seed=seed, config=config, shuffle_us=50), service


@pytest.mark.slow
@pytest.mark.parametrize("config", [SPRAY, HOME], ids=["spray", "home"])
@pytest.mark.parametrize("seed", range(4))
def test_another_machine_goes_on_once_the_file_is_hashed(tmp_path: Path, config: ClientConfig, seed: int) -> None:
    visit, service = visited(tmp_path, config, 4 + seed, 24 + seed, seed)
    assert body(visit.run(get("/large.bin", CLOSE))) == LARGE
    assert visit.outcome == "end"
    assert service.events > 24 + seed
    assert service.refusals == {None}


def test_before_that_it_ends_visibly(tmp_path: Path) -> None:
    visit, service = visited(tmp_path, HOME, 1 << 30, 24, 0)
    received = body(visit.run(get("/large.bin", CLOSE)))
    assert LARGE.startswith(received)
    assert len(received) < len(LARGE)
    assert visit.outcome not in {"", "end"}
    assert Refusal.NOT_HERE in service.refusals


def test_a_file_has_a_weak_tag_until_it_is_hashed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    response, _ = begun(machine.origin, get("/large.bin"))
    assert b'ETag: W/"' in response
    machine.hash()
    assert b'ETag: W/"' not in begun(machine.origin, get("/large.bin"))[0]
