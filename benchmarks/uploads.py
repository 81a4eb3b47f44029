"""Do resumable uploads come through while their clients and the replicas die?

One file by curl, tuspy and tus-js-client: undisturbed, and with a replica killed every half second and the client
itself killed twice on the way. The complete file is hashed; the effects count how often the application was given it.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, running
from benchmarks.peers.trickleweb_fleet import fleet_groups, run_argv, trickleweb_missing
from benchmarks.peers.tus_clients import CLIENTS, TusClient
from benchmarks.support.killer import killing
from benchmarks.support.payload import Payload, make_payload
from benchmarks.support.processes import REPOSITORY, ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.tables import number, table

MEGABYTE = 10**6
SERVER = HttpServer(
    "trickleweb",
    run_argv("apps.uploads:app"),
    trickleweb_missing,
    fleet_groups,
    lambda place: {"UPLOADS": str(place.work / "uploads")},
)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """One upload; `effects` counts the complete files that the application was given."""

    client: str
    client_kills: int
    replica_kills: int
    seconds: float
    rate: float  # megabytes a second
    right: bool
    effects: int


def uploaded(server: Running, client: TusClient, payload: Payload, options: argparse.Namespace, kills: int) -> Uploaded:
    """Upload once; the client is killed so many times, and the replicas all the time if there are any kills."""
    complete = server.place.work / "uploads" / "complete"
    before = set(complete.iterdir())
    state = server.place.work / f"{client.name}-{kills}.url"
    argv = client.argv(payload.path, server.url("files/"), state)
    began = time.monotonic()
    with killing(server.live_replicas, options.interval, options.seed, kill=kills > 0) as killer:
        done = survived(argv, options, kills)
    seconds = time.monotonic() - began
    made = [path for path in complete.iterdir() if path not in before]
    right = done and len(made) == 1 and sha256(made[0]) == payload.sha256
    rate = payload.size_bytes / MEGABYTE / seconds
    for path in made:
        path.unlink()
    return Uploaded(client.name, kills, len(killer.kills), seconds, rate, right, len(made))


def survived(argv: Sequence[str], options: argparse.Namespace, kills: int) -> bool:
    """Run the client, killed and started again so many times; return whether it ended well."""
    for turn in range(kills + 1):
        process = subprocess.Popen(argv, cwd=REPOSITORY, start_new_session=True)
        try:
            status = process.wait(options.kill_after if turn < kills else options.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        else:
            return status == 0
    return False


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def measure(options: argparse.Namespace, outcome: Outcome) -> list[Uploaded]:
    """Each client, undisturbed and under kills."""
    every: list[Uploaded] = []
    with tempfile.TemporaryDirectory(prefix="bench-uploads-") as folder:
        payload = make_payload(Path(folder) / "payload", options.megabytes * MEGABYTE)
        for client in CLIENTS:
            if options.only and client.name not in options.only:
                continue
            if (reason := client.missing()) is not None:
                outcome.skip(client.name, reason)
                continue
            try:
                with running(SERVER, Path(folder)) as server:
                    every += [uploaded(server, client, payload, options, kills) for kills in (0, options.client_kills)]
            except ChildFailed as error:
                outcome.fail(f"uploads: {error}")
    for each in every:
        if not each.right or each.effects != 1:
            outcome.fail(f"uploads: by {each.client}: right {each.right}, effects {each.effects}")
    return every


def show(every: Sequence[Uploaded]) -> None:
    """Print one row for each upload."""
    heads = ["client", "client killed", "replicas killed", "seconds", "MB/s", "hash right", "effects"]
    cells = [
        [
            each.client,
            str(each.client_kills),
            str(each.replica_kills),
            number(each.seconds, 1),
            number(each.rate, 1),
            "yes" if each.right else "NO",
            str(each.effects),
        ]
        for each in every
    ]
    print(table("Resumable uploads (tus) while clients and replicas are killed", heads, cells), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks uploads", description=__doc__)
    options.add_argument("--megabytes", type=int, default=1000)
    options.add_argument("--client-kills", type=int, default=2)
    options.add_argument("--kill-after", type=float, default=5.0, help="seconds that a client lives")
    options.add_argument("--interval", type=float, default=0.5, help="seconds between kills of replicas")
    options.add_argument("--only", nargs="+", default=[], help="names of clients")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--timeout", type=float, default=600.0, help="seconds one upload may take")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every upload was right."""
    options, outcome = parser().parse_args(argv), Outcome()
    every = measure(options, outcome)
    show(every)
    outcome.figures["uploads"] = [asdict(each) for each in every]
    save("uploads", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
