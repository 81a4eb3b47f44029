"""How does a transfer fare when the network moves it between machines? One address of three, in network namespaces.

A client, a router and three replicas with the same address, a cable of 400 Mbit/s and MTU 1500, as root
(`tests.support.anycast`). Each row is some downloads by the native client while routes move or machines die, with the
rate as a multiple of that of one machine in peace, and the longest silence. Every download is hashed.

Then uploads, each while its route moves to another machine and back: the machines share no spool, so parts of an upload
may lie on either. The digest that the service answers must be that of what was sent, or the upload fails visibly.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from benchmarks.support.net import veth_missing
from benchmarks.support.results import Outcome, save
from benchmarks.support.tables import number, table, times
from tests.support.anycast import BY_ADDRESSES, BY_PORTS, HOSTS, PORT, AnycastBed, anycast
from tests.support.processes import Program
from tests.support.replica_program import tape_digest

UPLOAD_BYTES = 8_000_000
POOLED_BYTES = 1_000_000  # two of three packets are refused there
AWAY_SECONDS = (0.0, 0.02, 0.5)
UPLOAD_STARTS_SECONDS = 0.04  # of the 160 ms that an upload takes at the full rate
OWN = [f"10.9.{1 + host}.2:{PORT}" for host in HOSTS]  # addresses of the hosts, where a pool of translators is between

Act = Callable[[AnycastBed, int], None]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Case:
    """`act` is called with the host that serves, at a third of the download; by then the hash is `policy`."""

    name: str
    act: Act
    policy: int = BY_PORTS
    sprayed: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Download:
    """One download; `failed` says why it ended early."""

    case: str
    size_bytes: int
    seconds: float
    silence_ms: float
    failed: str = ""

    @property
    def rate(self) -> float:
        """MB/s."""
        return self.size_bytes / 1e6 / self.seconds


@dataclass(frozen=True, slots=True)
class Uploads:
    """Uploads whose route was away for `away` seconds: answered with the right digest, a wrong one, or refused."""

    away: float
    right: int
    refused: int
    wrong: int


def peace(_bed: AnycastBed, _serving: int) -> None:
    """Change nothing."""


def withdraw(bed: AnycastBed, serving: int) -> None:
    """Lead all flows to the others."""
    bed.lead([host for host in HOSTS if host != serving])


def rehash(bed: AnycastBed, _serving: int) -> None:
    """Change the next hops ten times."""
    for turn in range(10):
        bed.lead([host for host in HOSTS if host != HOSTS[turn % 3]])


CASES = (
    Case("nothing happens", peace),
    Case("route withdrawn", withdraw),
    Case("route withdrawn, hash of addresses", withdraw, BY_ADDRESSES),
    Case("next hops change ten times", rehash),
    Case("replica killed, route stays", AnycastBed.kill),
    Case("host's cable cut, route stays", AnycastBed.cut),
    Case("each packet to a random host", peace, sprayed=True),
    Case("likewise, one killed for good", AnycastBed.kill, sprayed=True),
    Case("likewise, one's cable cut for good", AnycastBed.cut, sprayed=True),
)


def downloaded(bed: AnycastBed, case: Case, size_bytes: int) -> Download:
    """Run one download; all is as before afterwards."""
    before, dead = bed.arrived(), 0
    bed.lead(HOSTS, case.policy)
    if case.sprayed:
        bed.spray()
    try:
        started = time.monotonic()
        with bed.client(size_bytes, "--mark", size_bytes // 3, *case.words) as client:
            try:
                client.output.next()
                dead = bed.busiest(before)
                case.act(bed, dead)
                return _figures(case.name, client, size_bytes)
            except AssertionError:
                return Download(case.name, size_bytes, time.monotonic() - started, 0.0, _reason(client))
    finally:
        bed.plain()
        if case.act in (AnycastBed.kill, AnycastBed.cut):
            bed.restore(dead)


def translated(bed: AnycastBed, size_bytes: int) -> Download:
    """Run one download with policy spray; each host sees the client at another address."""
    name = "a pool of translators, policy spray"
    bed.translate()
    try:
        with bed.client(size_bytes, "--mark", 1, "--policy", "spray", replicas=OWN) as client:
            client.output.next()
            return _figures(name, client, size_bytes)
    finally:
        bed.plain()


def pooled(bed: AnycastBed, size_bytes: int) -> Download:
    """Run one download whose packets are sprayed over hosts that each see the client at another address."""
    bed.translate()
    bed.spray()
    name, started = "a pool of translators, each packet to a random host", time.monotonic()
    try:
        with bed.client(size_bytes, "--mark", size_bytes) as client:
            try:
                client.output.next()
                return _figures(name, client, size_bytes)
            except AssertionError:
                return Download(name, size_bytes, time.monotonic() - started, 0.0, _reason(client))
    finally:
        bed.plain()


def _figures(name: str, client: Program, size_bytes: int) -> Download:
    said = json.loads(client.output.next())
    failed = "" if said["sha256"] == tape_digest(size_bytes) else "WRONG BYTES"
    return Download(name, size_bytes, said["took_us"] / 1e6, said["silence_us"] / 1e3, failed)


def _reason(client: Program) -> str:
    if client.alive:
        return "still tries"
    return (client.errors.rest().strip().splitlines() or ["ended"])[-1]


def uploaded(bed: AnycastBed, count: int, away: float) -> Uploads:
    """Upload one after the other; during each the route moves to the second host and back."""
    results = list[str]()
    bed.lead([1])
    with bed.client(UPLOAD_BYTES, "--uploads", count) as client:
        for _ in range(count):
            assert client.output.next() == "begun"
            time.sleep(UPLOAD_STARTS_SECONDS)
            bed.lead([2])
            time.sleep(away)
            bed.lead([1])
            results.append(client.output.next())
    right = results.count(tape_digest(UPLOAD_BYTES))
    refused = sum(result.startswith("refused") for result in results)
    return Uploads(away, right, refused, count - right - refused)


def noted(row: Row) -> Row:
    """Print a row as soon as it is there."""
    print(row, flush=True)
    return row


def measure(options: argparse.Namespace, outcome: Outcome) -> tuple[list[Download], list[Uploads]]:
    """Run all rows; what is wrong is an error of the outcome."""
    size_bytes, downloads = options.megabytes * 10**6, list[Download]()
    with tempfile.TemporaryDirectory(prefix="bench-routes-") as folder, anycast(Path(folder)) as bed:
        downloaded(bed, CASES[0], size_bytes)  # imports, caches
        for case in CASES:
            downloads += [noted(downloaded(bed, case, size_bytes)) for _ in range(options.rounds)]
        uploads = [noted(uploaded(bed, options.uploads, away)) for away in AWAY_SECONDS]
        for host in HOSTS:
            bed.start(host, OWN[host - 1].partition(":")[0])
        downloads += [noted(translated(bed, size_bytes)) for _ in range(options.rounds)]
        downloads.append(noted(pooled(bed, POOLED_BYTES)))
    for each in downloads:
        if each.failed and "translators" not in each.case:
            outcome.fail(f"{each.case}: {each.failed}")
    for row in uploads:
        if row.wrong:
            outcome.fail(f"{row.wrong} uploads answered with another digest")
    return downloads, uploads


def shown(downloads: Sequence[Download]) -> list[list[str]]:
    """The rows of the table."""
    rows, alone = [], fmean(each.rate for each in downloads if each.case == CASES[0].name)
    for name in dict.fromkeys(each.case for each in downloads):
        of_case = [each for each in downloads if each.case == name]
        whole = [each for each in of_case if not each.failed]
        rate = fmean(each.rate for each in whole) if whole else None
        silences = " ".join(f"{each.silence_ms:.0f}" for each in whole)
        failed = "; ".join(f"{each.failed} after {each.seconds:.1f} s" for each in of_case if each.failed)
        rows.append([name, number(rate, 1), times(rate / alone if rate else None), failed or silences])
    return rows


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks routes", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100, help="of each download")
    parser.add_argument("--rounds", type=int, default=3, help="downloads of each row")
    parser.add_argument("--uploads", type=int, default=200, help="of 8 MB, for each time that the route is away")
    options = parser.parse_args(argv)
    outcome = Outcome()
    if missing := veth_missing():
        outcome.skip("routes", missing)
        return 0
    downloads, uploads = measure(options, outcome)
    heads = ["one address of three machines", "MB/s", "of one", "longest silences, ms"]
    print(table("Downloads while routes move", heads, shown(downloads)))
    rows = [[f"{row.away * 1000:.0f} ms", *map(str, (row.right, row.refused, row.wrong))] for row in uploads]
    print(table("Uploads of 8 MB while the route is away", ["away", "right", "refused", "wrong"], rows))
    outcome.figures.update(downloads=[asdict(each) for each in downloads], uploads=[asdict(row) for row in uploads])
    save("routes", vars(options), outcome)
    return 1 if outcome.errors else 0
