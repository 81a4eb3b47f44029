"""Do responses to POST arrive as they are made, whole and fast, while replicas are killed? Do forms survive kills?

The same Starlette program under uvicorn and trickleweb. A chat streams 200 events over 7 seconds by POST: undisturbed;
with all replicas but the one at work killed every half second; and with the one at work killed once. A GET and a POST
of 300 MB, undisturbed, and a POST with a random replica killed every half second after its program has ended. 100 MB in
one message. Then 2,000 fetches of a form with a fresh token, with a random replica killed every 0.3 seconds.
"""

import argparse
import hashlib
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, needs, start_all
from benchmarks.peers.http_servers import uvicorn_argv
from benchmarks.peers.programs import effects
from benchmarks.peers.trickleweb_fleet import fleet_groups, run_argv, trickleweb_missing
from benchmarks.support import procfs
from benchmarks.support.killer import killing
from benchmarks.support.results import Outcome, save
from benchmarks.support.slow_client import Received, ask
from benchmarks.support.statistics import median, percentile
from benchmarks.support.tables import number, table

PROGRAM, MEGABYTE, PIECE_BYTES = "benchmarks.peers.stored_app:app", 10**6, 1 << 16
FORM_BYTES = 4000
UVICORN = HttpServer(
    "uvicorn[standard]",
    uvicorn_argv("--http", "httptools", "--loop", "uvloop", app=PROGRAM),
    needs("uvicorn", "httptools", "uvloop", "starlette"),
    environment=effects,
)
UVICORN_H11 = HttpServer(
    "uvicorn h11", uvicorn_argv("--http", "h11", "--loop", "asyncio", app=PROGRAM), needs("uvicorn", "starlette"),
    environment=effects,
)  # fmt: skip
TRICKLEWEB = HttpServer("trickleweb", run_argv(PROGRAM), trickleweb_missing, fleet_groups, environment=effects)


@dataclass(frozen=True, slots=True)
class Chat:
    """One stream of events: seconds to the first, the largest difference of a gap from the program's median, and the
    longest time from an event's making to its arrival.
    """

    server: str
    case: str
    kills: int
    first: float
    gap_p50: float
    gap_most: float
    late_p50: float
    late_most: float
    events: int
    made: int  # events that the program made
    broken: str
    end_after_kill: float | None


@dataclass(frozen=True, slots=True)
class Load:
    """One large response."""

    server: str
    case: str
    kills: int
    first: float
    rate: float  # megabytes a second
    right: bool
    grown: float  # megabytes by which the largest replica grew meanwhile


def noted(server: Running) -> list[tuple[int, float, str]]:
    """The notes of the program: pid, time, step."""
    path = server.place.work / "effects"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(int(pid), float(moment), step) for pid, moment, step in lines]


def chat(server: Running, case: str, options: argparse.Namespace) -> Chat:
    """Stream once; `case` says what is killed meanwhile."""
    before = len(noted(server))
    apart = options.seconds / options.events
    body = json.dumps({"think": options.think, "events": options.events, "apart": apart}).encode()
    killed_at: list[float] = []

    def worker() -> int | None:
        return next((pid for pid, _, _ in noted(server)[before:]), None)

    def others() -> list[int]:
        busy = worker()
        return [] if busy is None else [pid for pid in server.live_replicas() if pid != busy]

    def kill_worker() -> None:
        busy = worker()
        if busy in server.live_replicas():
            os.kill(busy, signal.SIGKILL)
            killed_at.append(time.time())

    timer = threading.Timer(options.seconds / 2, kill_worker)
    if case == "the one at work":
        timer.start()
    with killing(others, options.interval, options.seed, kill=case == "all others") as killer:
        got = ask(server.place.port, "POST", "/chat", body)
    timer.cancel()
    return chat_of(server, case, got, noted(server)[before:], [*killed_at, *(0.0 for _ in killer.kills)])


def chat_of(server: Running, case: str, got: Received, notes: list[tuple[int, float, str]], kills: list[float]) -> Chat:
    made = [moment for _, moment, _ in notes]
    gaps = [later - earlier for earlier, later in pairwise(got.moments)] or [0.0]
    usual = median([later - earlier for earlier, later in pairwise(made)] or [0.0])
    after = got.began + got.ended - kills[0] if case == "the one at work" and kills else None
    most = max(abs(gap - usual) for gap in gaps[:-1] or [0.0])
    late = [got.began + arrived - moment for arrived, moment in zip(got.event_moments, made, strict=False)] or [0.0]
    return Chat(
        server.server.name, case, len(kills), got.first, percentile(gaps, 50), most, percentile(late, 50), max(late),
        got.events, len(made), got.broken, after,
    )  # fmt: skip


def load(server: Running, method: str, path: str, options: argparse.Namespace, wanted: str, *, kill: bool) -> Load:
    """Download once; kills begin when the program has ended."""
    before = len(noted(server))

    def victims() -> list[int]:
        return server.live_replicas() if len(noted(server)) > before else []

    replicas = server.groups().get("replicas") or server.groups()["server"]
    least = {pid: procfs.resident_bytes([pid]) for pid in replicas}
    most, over = dict(least), threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            most.update({pid: max(most[pid], procfs.resident_bytes([pid])) for pid in replicas})

    watcher = threading.Thread(target=watch)
    watcher.start()
    with killing(victims, options.interval, options.seed, kill=kill) as killer:
        got = ask(server.place.port, method, path)
    over.set()
    watcher.join()
    grown = max(most[pid] - least[pid] for pid in replicas) / MEGABYTE
    rate = got.size / MEGABYTE / got.ended
    case = f"{method} {path.partition('?')[0]}" + (" under kills" if kill else "")
    return Load(server.server.name, case, len(killer.kills), got.first, rate, got.sha256 == wanted, grown)


def fetch_forms(server: Running, options: argparse.Namespace) -> dict[str, object]:
    """Fetch the form many times under kills; count what broke."""
    broken: list[str] = []
    began = time.monotonic()
    with killing(server.live_replicas, options.form_interval, options.seed) as killer:
        for _ in range(options.forms):
            got = ask(server.place.port, "GET", "/form")
            if got.broken or got.status != 200 or got.size < FORM_BYTES:
                broken.append(got.broken or f"{got.status}, {got.size} bytes")
    seconds = time.monotonic() - began
    return {
        "fetched": options.forms,
        "broken": len(broken),
        "why": broken[:5],
        "kills": len(killer.kills),
        "seconds": seconds,
    }


def measure(options: argparse.Namespace, outcome: Outcome) -> tuple[list[Chat], list[Load]]:
    chats: list[Chat] = []
    loads: list[Load] = []
    with tempfile.TemporaryDirectory(prefix="bench-stored-") as folder, ExitStack() as cleanup:
        up = start_all((UVICORN, UVICORN_H11, TRICKLEWEB), Path(folder), cleanup, outcome, "stored")
        pieces = options.megabytes * MEGABYTE // PIECE_BYTES
        wanted = hashlib.sha256(bytes(range(256)) * 256 * pieces).hexdigest()
        third = hashlib.sha256(bytes(range(256)) * 256 * (pieces // 3)).hexdigest()
        for server in up:
            for _ in range(options.rounds):
                chats.append(chat(server, "undisturbed", options))
                for method in ("GET", "POST"):
                    loads.append(load(server, method, f"/large?pieces={pieces}", options, wanted, kill=False))
                    loads.append(load(server, method, f"/message?pieces={pieces // 3}", options, third, kill=False))
        for server in (each for each in up if each.server is TRICKLEWEB):
            for _ in range(options.rounds):
                chats += [chat(server, case, options) for case in ("all others", "the one at work")]
                loads.append(load(server, "POST", f"/large?pieces={pieces}", options, wanted, kill=True))
            outcome.figures["forms"] = fetch_forms(server, options)
    return chats, loads


def check(chats: Sequence[Chat], loads: Sequence[Load], options: argparse.Namespace, outcome: Outcome) -> None:
    """Note what is wrong: lost events, wrong hashes, broken forms."""
    for each in chats:
        complete = each.events == options.events + 1 and not each.broken
        if each.case == "the one at work":
            if each.kills and not (each.made - 1 <= each.events <= options.events and each.broken):
                outcome.fail(f"stored: {each.events} of {each.made} events, {each.broken or 'no visible end'}")
        elif not complete:
            outcome.fail(f"stored: chat by {each.server}, {each.case}: {each.events} events, {each.broken}")
    for one in loads:
        if not one.right:
            outcome.fail(f"stored: {one.case} by {one.server}: another hash")
    forms = outcome.figures.get("forms")
    if isinstance(forms, dict) and forms["broken"]:
        outcome.fail(f"stored: {forms['broken']} broken forms: {forms['why']}")


def show(chats: Sequence[Chat], loads: Sequence[Load], outcome: Outcome) -> None:
    milli = 1000
    heads = [
        "chat by POST",
        "killed",
        "kills",
        "first ms",
        "gap ms",
        "gap off by ms",
        "late ms",
        "latest ms",
        "events",
        "made",
        "end after kill s",
    ]
    cells = [
        [each.server, each.case, str(each.kills), number(each.first * milli, 1), number(each.gap_p50 * milli, 1),
         number(each.gap_most * milli, 1), number(each.late_p50 * milli, 1),
         number(each.late_most * milli, 1), str(each.events), str(each.made), number(each.end_after_kill)]
        for each in chats
    ]  # fmt: skip
    print(table("Events as they are made", heads, cells), flush=True)
    heads = ["large response", "server", "kills", "first ms", "MB/s", "hash right", "replica grew MB"]
    cells = [
        [each.case, each.server, str(each.kills), number(each.first * milli, 1), number(each.rate, 1),
         "yes" if each.right else "NO", number(each.grown, 1)]
        for each in loads
    ]  # fmt: skip
    print(table("Large responses", heads, cells), flush=True)
    print(f"forms: {json.dumps(outcome.figures.get('forms'))}", flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks stored", description=__doc__)
    options.add_argument("--events", type=int, default=200)
    options.add_argument("--seconds", type=float, default=7.0, help="of one chat")
    options.add_argument("--think", type=float, default=0.5, help="seconds before the first event")
    options.add_argument("--megabytes", type=int, default=300)
    options.add_argument("--forms", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--interval", type=float, default=0.5, help="seconds between kills")
    options.add_argument(
        "--form-interval", type=float, default=0.3, help="seconds between kills while forms are fetched"
    )
    options.add_argument("--seed", type=int, default=1)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if nothing was lost."""
    options, outcome = parser().parse_args(argv), Outcome()
    chats, loads = measure(options, outcome)
    check(chats, loads, options, outcome)
    show(chats, loads, outcome)
    outcome.figures |= {"chats": [asdict(each) for each in chats], "loads": [asdict(each) for each in loads]}
    save("stored", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
