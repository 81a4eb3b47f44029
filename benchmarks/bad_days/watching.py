"""A bad day from beginning to end: files are fetched all the time, while the cause comes and goes."""

import http.client
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.bad_days.causes import Cause
from benchmarks.bad_days.fleet import ALL, REPLICAS, Fleet
from benchmarks.bad_days.program import content

ANSWER_SECONDS = 2.0  # what takes longer is not served
PAUSE_SECONDS = 0.02
CALM_SECONDS = 1.0  # of right answers, after which a fleet is back
PATIENCE_SECONDS = 30.0
NEVER = float("inf")
FILES = {"/small": 2_000, "/large": 3_000_000}


class Asked(NamedTuple):
    """A request, and the body that is to come back; what is sent with it makes it a POST."""

    path: str
    content: bytes
    sent: bytes | None = None


class NotHere(Exception):
    """The cause cannot be brought about on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was begun and over; whether the bytes were right, and whether they were wrong."""

    begun: float
    over: float
    right: bool
    wrong: bool


@dataclass(frozen=True, slots=True)
class Day:
    """What came of it; `missing` names processes that were not there in the end."""

    asked: int
    served: int
    wrong: int
    killed: int
    started: int
    back_seconds: float
    missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of the requests during the cause, those that were served."""
        return self.served / self.asked if self.asked else 0.0


class Prober(threading.Thread):
    """Fetches one file after another, each by a connection of its own."""

    def __init__(self, url: str, requests: Sequence[Asked]) -> None:
        super().__init__(daemon=True)
        self.answers: list[Answer] = []
        self._netloc = urlsplit(url).netloc
        self._requests = requests
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            for each in self._requests:
                self.answers.append(self._answer(each))
                self._over.wait(PAUSE_SECONDS)

    def stop(self) -> None:
        """Fetch no more."""
        self._over.set()
        self.join()

    def _answer(self, asked: Asked) -> Answer:
        begun, got, status = time.monotonic(), b"", 0
        connection = http.client.HTTPConnection(self._netloc, timeout=ANSWER_SECONDS)
        with closing(connection):
            try:
                connection.request("GET" if asked.sent is None else "POST", asked.path, asked.sent)
                response = connection.getresponse()
                status, got = response.status, response.read()
            except (OSError, http.client.HTTPException):
                status = 0
        over = time.monotonic()
        right = status == 200 and got == asked.content and over - begun < ANSWER_SECONDS
        return Answer(begun, over, right, status == 200 and got != asked.content)


def day(cause: Cause, *, seconds: float) -> Day:
    """A fresh fleet has a bad day; `NotHere` if it cannot have one on this machine."""
    if (reason := cause.problem()) is not None:
        raise NotHere(reason)
    with tempfile.TemporaryDirectory(prefix="bad-day-") as folder, ExitStack() as cleanup:
        site, disk = Path(folder) / "site", Path(folder) / "disk"
        site.mkdir()
        disk.mkdir()
        fleet = cleanup.enter_context(cause.fleet(site, disk))
        prober = Prober(fleet.url, list(of_a_program() if fleet.is_program else of_a_site(site)))
        prober.start()
        cleanup.callback(prober.stop)
        until(lambda: sum(each.right for each in prober.answers) >= 2 * len(FILES))
        return _day(cause, fleet, prober, seconds)


def of_a_site(site: Path) -> Iterator[Asked]:
    """What is asked of a folder, and is in it by then."""
    for path, size in FILES.items():
        content = Random(path).randbytes(size)
        (site / path.lstrip("/")).write_bytes(content)
        yield Asked(path, content)


def of_a_program() -> Iterator[Asked]:
    """What is asked of `benchmarks.bad_days.program`: bodies of its own, and large ones back."""
    for path, size in FILES.items():
        name = path.lstrip("/")
        yield Asked(f"/{name}/{size}", content(name, size))
        yield Asked("/echo", content(name, size // 100), content(name, size // 100))  # a spool keeps it for an hour


def _day(cause: Cause, fleet: Fleet, prober: Prober, seconds: float) -> Day:
    before, killed = fleet.processes(), 0
    begun = time.monotonic()
    with cause.strikes(fleet):
        time.sleep(seconds / 3)
        if cause.kills:
            killed = sum([fleet.kill(name) for name in REPLICAS])
            time.sleep(seconds / 3)
            killed += fleet.kill("gateway")
        time.sleep(max(begun + seconds - time.monotonic(), 0.0))
    ended = time.monotonic()
    until(lambda: calm_since(prober.answers, ended) < NEVER)
    until(lambda: set(fleet.processes()) == set(ALL))
    prober.stop()
    after = fleet.processes()
    during = [each for each in prober.answers if begun <= each.begun < ended]
    return Day(
        asked=len(during),
        served=sum(each.right for each in during),
        wrong=sum(each.wrong for each in prober.answers),
        killed=killed,
        started=sum(after.get(name) != before.get(name) for name in ALL),
        back_seconds=calm_since(prober.answers, ended),
        missing=tuple(name for name in (*ALL, "supervisor") if not _is_there(fleet, name, after)),
    )


def _is_there(fleet: Fleet, name: str, processes: dict[str, int]) -> bool:
    return fleet.is_running() if name == "supervisor" else name in processes


def calm_since(answers: list[Answer], ended: float) -> float:
    """Seconds from the end of the cause to the last failure's end; `NEVER` until all has been well for long enough.

    A request that was begun before the cause's end and failed because of it is none that failed afterwards.
    """
    if not answers or answers[-1].over < ended + CALM_SECONDS:
        return NEVER
    last = max((each.over for each in answers if each.begun >= ended and not each.right), default=ended)
    return last - ended if answers[-1].over >= last + CALM_SECONDS else NEVER


def until(condition: object) -> None:
    """Wait for what a fleet should come to; not for ever."""
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
