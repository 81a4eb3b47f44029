"""What do floods cost a replica? Memory against a million connections, and an honest client's goodput under bogus ones.

Connections are opened by hand on loopback (a hello, the first request, and no more), by a cookie wherever one is asked
for; the replica's resident memory is read before and at each power of ten. Bogus datagrams come at a fixed rate, by
kind, while one client reads as fast as it can; without and with the flood in turn. CPU is the replica's for each bogus
datagram, when nobody else is there.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.support import procfs
from benchmarks.support.bogus import BOGUS
from benchmarks.support.processes import Child, ChildFailed, module
from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import median
from benchmarks.support.tables import number, table

REPLICA, BOGUS_FLOOD = "benchmarks.peers.trickles_endless", "benchmarks.peers.bogus_flood"
CONNECTION_FLOOD = "benchmarks.peers.connection_flood"
START_SECONDS = 120.0  # a flood of distinct datagrams is made before it begins
MEGABYTE, MEBI = 10**6, 1 << 20
FIRST_CHECKPOINT = 1000


@dataclass(frozen=True, slots=True)
class Memory:
    """The replica's resident bytes when so many connections had been opened, and the seconds that took."""

    connections: int
    resident_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Flooded:
    """One round of one kind: bytes a second without and with the flood, what was sent, and what that cost alone."""

    kind: str
    without: float
    flooded: float
    sent_per_second: float
    cpu_us: float  # of the replica, for each bogus datagram


def checkpoints(connections: int) -> list[int]:
    """Powers of ten below, and the number itself."""
    powers = [FIRST_CHECKPOINT * 10**power for power in range(10)]
    return [*(each for each in powers if each < connections), connections]


def grow(at: Sequence[int], seconds: float) -> list[Memory]:
    """Open connections, as many as the last of these numbers or as that time allows; memory before and at each."""
    with Child(module(REPLICA, "server")) as replica:
        port = replica.message(START_SECONDS)["port"]
        grown = [Memory(0, procfs.resident_bytes([replica.pid]), 0.0)]
        words = ("--connect", port, "--seconds", seconds, "--checkpoints", *at)
        with Child(module(CONNECTION_FLOOD, *words)) as flood:
            while True:
                message = flood.message(seconds + START_SECONDS)
                count, took = int(str(message["connections"])), float(str(message["seconds"]))
                if message.get("ended"):
                    break
                grown.append(Memory(count, procfs.resident_bytes([replica.pid]), took))
        if count > grown[-1].connections:
            grown.append(Memory(count, procfs.resident_bytes([replica.pid]), took))
    return grown


def goodput(port: object, seconds: float) -> Child:
    """A client that reads for that long."""
    return Child(module(REPLICA, "client", "--connect", port, "--seconds", seconds))


def rate_of(client: Child, seconds: float) -> float:
    message = client.message(seconds + START_SECONDS)
    return float(str(message["bytes"])) / float(str(message["seconds"]))


def flooded(kind: str, rate: int, seconds: float) -> Flooded:
    """One replica: quiet, then under the flood, then under the flood alone."""
    with Child(module(REPLICA, "server")) as replica:
        port = replica.message(START_SECONDS)["port"]
        with goodput(port, seconds) as client:
            without = rate_of(client, seconds)
        with flood_of(port, kind, rate, seconds + 2) as flood:
            with goodput(port, seconds) as client:
                under = rate_of(client, seconds)
            flood.message(seconds + START_SECONDS)
        with flood_of(port, kind, rate, seconds) as flood:
            before = procfs.cpu_seconds([replica.pid])
            sent = flood.message(seconds + START_SECONDS)
            spent = procfs.cpu_seconds([replica.pid]) - before
        count, took = int(str(sent["sent"])), float(str(sent["seconds"]))
    return Flooded(kind, without, under, count / took, spent * 1e6 / count)


def flood_of(port: object, kind: str, rate: int, seconds: float) -> Child:
    """A flood that is about to begin."""
    words = ("--connect", port, "--kind", kind, "--rate", rate, "--seconds", seconds)
    flood = Child(module(BOGUS_FLOOD, *words))
    try:
        flood.message(START_SECONDS)
    except BaseException:
        flood.close()
        raise
    return flood


def show(grown: Sequence[Memory], floods: Sequence[Flooded]) -> None:
    """Print both tables."""
    rows = [[f"{each.connections:,}", number(each.resident_bytes / MEBI, 1), number(each.seconds, 1)] for each in grown]
    print(table("Memory of a replica", ["connections opened", "MiB resident", "seconds"], rows))
    rows = []
    for kind in dict.fromkeys(each.kind for each in floods):
        mine = [each for each in floods if each.kind == kind]
        cells = [median([each.without for each in mine]) / MEGABYTE, median([each.flooded for each in mine]) / MEGABYTE]
        ratio = median([each.flooded / each.without for each in mine])
        rest = [median([each.sent_per_second for each in mine]), median([each.cpu_us for each in mine])]
        rows.append([kind, *(number(each, 1) for each in cells), number(ratio), *(number(each, 0) for each in rest)])
    heads = ["bogus datagrams", "MB/s without", "MB/s with", "ratio", "sent per s", "CPU us each"]
    print(table("Goodput of an honest client under a flood", heads, rows), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks floods", description=__doc__)
    options.add_argument("--connections", type=int, default=1_000_000)
    options.add_argument("--open-seconds", type=float, default=1200.0, help="most that opening them may take")
    options.add_argument("--rate", type=int, default=8000, help="bogus datagrams a second")
    options.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", nargs="+", default=[], help="words of the kinds to run, or: memory")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save."""
    options, outcome = parser().parse_args(argv), Outcome()
    grown: list[Memory] = []
    floods: list[Flooded] = []
    kinds = [kind for kind in BOGUS if not options.only or any(word in kind for word in options.only)]
    try:
        if not options.only or "memory" in options.only:
            grown = grow(checkpoints(options.connections), options.open_seconds)
        for _ in range(options.rounds):
            floods += [flooded(kind, options.rate, options.seconds) for kind in kinds]
    except ChildFailed as error:
        outcome.fail(f"floods: {error}")
    show(grown, floods)
    outcome.figures["memory"] = [asdict(each) for each in grown]
    outcome.figures["floods"] = [asdict(each) for each in floods]
    save("floods", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
