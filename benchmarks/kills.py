"""Does curl notice when replicas die? Downloads while one of three replicas gets SIGKILL every half second.

Every file is hashed. A stall is the longest silence on curl's output within one interval after a kill (also the one
before the first byte, with the start of curl itself, about 10 ms); kills between two downloads make none. With
`--victim serving` the replica that was busiest just before is killed, so that nearly every kill hits the download.
nginx's workers suffer the same as a reference: their connections die.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, running
from benchmarks.peers.http_servers import NGINX_FLEET
from benchmarks.peers.trickleweb_fleet import TRICKLEWEB, TRICKLEWEB_SPRAY
from benchmarks.support.curl import Download, download
from benchmarks.support.killer import Kill, Killer
from benchmarks.support.payload import Payload
from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.site import make_site
from benchmarks.support.statistics import percentile
from benchmarks.support.tables import number, table

MEGABYTE = 10**6
FLEETS: Sequence[HttpServer] = (TRICKLEWEB, TRICKLEWEB_SPRAY, NGINX_FLEET)
SHOULD_SURVIVE = (TRICKLEWEB.name, TRICKLEWEB_SPRAY.name)


@dataclass(frozen=True, slots=True)
class Campaign:
    """What came of the downloads from one fleet; stalls in milliseconds, one for each kill within a download."""

    fleet: str
    downloads: int
    right: int
    curl_errors: int
    silently_wrong: int  # curl was content, the hash was not
    kills: int
    stalls: tuple[float, ...]
    megabytes_per_second: float
    complaints: tuple[str, ...]


def stall_after(kill: Kill, downloads: Sequence[Download], interval: float) -> float | None:
    """The longest silence (milliseconds) that a kill may have caused; None if it fell between downloads."""
    for got in downloads:
        if got.began <= kill.moment <= got.began + got.seconds:
            near = [
                length
                for start, length in got.silences
                if start <= kill.moment + interval and start + length >= kill.moment
            ]
            return 1000 * max(near, default=0.0)
    return None


def campaign(fleet: Running, payload: Payload, options: argparse.Namespace) -> Campaign:
    """Download again and again while replicas die; may raise ChildFailed."""
    killer = Killer(fleet.live_replicas, options.interval, options.seed, serving=options.victim == "serving")
    url, every = fleet.url(payload.path.name), list[Download]()
    killer.start()
    try:
        for _ in range(options.downloads):
            every.append(download(url, options.timeout))
    finally:
        killer.stop()
    stalls = [stall_after(kill, every, options.interval) for kill in killer.kills]
    return Campaign(
        fleet.server.name,
        len(every),
        sum(got.status == 0 and got.sha256 == payload.sha256 for got in every),
        sum(got.status != 0 for got in every),
        sum(got.status == 0 and got.sha256 != payload.sha256 for got in every),
        len(killer.kills),
        tuple(stall for stall in stalls if stall is not None),
        sum(got.size_bytes for got in every) / MEGABYTE / max(sum(got.seconds for got in every), 1e-9),
        tuple(sorted({got.complaint for got in every if got.complaint})),
    )


def measure(options: argparse.Namespace, outcome: Outcome) -> list[Campaign]:
    """One campaign per fleet."""
    done = []
    with tempfile.TemporaryDirectory(prefix="bench-site-") as folder:
        payload = make_site(Path(folder), options.megabytes * MEGABYTE).bulk
        for server in FLEETS:
            if options.only and not any(word in server.name for word in options.only):
                continue
            if (reason := server.missing()) is not None:
                outcome.skip(server.name, reason)
                continue
            try:
                with running(server, Path(folder)) as fleet:
                    done.append(campaign(fleet, payload, options))
            except ChildFailed as error:
                outcome.fail(f"kills: {error}")
    return done


def judge(done: Sequence[Campaign], outcome: Outcome) -> None:
    """Note what should have survived and did not; a fleet without a kill proves nothing."""
    for each in done:
        if each.fleet in SHOULD_SURVIVE and each.right != each.downloads:
            outcome.fail(f"kills: {each.fleet}: {each.right} of {each.downloads} right: {'; '.join(each.complaints)}")
        if each.kills == 0:
            outcome.fail(f"kills: {each.fleet}: nobody was killed")


def show(done: Sequence[Campaign]) -> None:
    """Print the table."""
    headers = ["fleet", "downloads", "right hash", "curl errors", "silently wrong", "kills", "in downloads"]
    headers += ["stall ms p50", "p99", "max", "MB/s"]
    cells = []
    for each in done:
        stalls = [number(percentile(each.stalls, percent) if each.stalls else None, 1) for percent in (50, 99, 100)]
        counts = (each.downloads, each.right, each.curl_errors, each.silently_wrong, each.kills, len(each.stalls))
        cells.append([each.fleet, *map(str, counts), *stalls, number(each.megabytes_per_second, 1)])
    print(table("Downloads by curl while replicas are killed", headers, cells), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks kills", description=__doc__)
    options.add_argument("--downloads", type=int, default=200)
    options.add_argument("--megabytes", type=int, default=100)
    options.add_argument("--interval", type=float, default=0.5, help="seconds between kills")
    options.add_argument("--victim", choices=("random", "serving"), default="random")
    options.add_argument("--seed", type=int, default=1, help="of the choice of victims")
    options.add_argument("--only", nargs="+", default=[], help="words of the fleets to run, as: spray nginx")
    options.add_argument("--timeout", type=float, default=60.0, help="seconds one download may take")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every fleet that should survive did."""
    options, outcome = parser().parse_args(argv), Outcome()
    done = measure(options, outcome)
    judge(done, outcome)
    show(done)
    outcome.figures["campaigns"] = [asdict(each) for each in done]
    save("kills", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
