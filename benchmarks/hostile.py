"""What does the worst hostile datagram of each kind cost a replica in CPU, beside an honest request of its size?

A listener of this process, without sockets, in virtual time. Each kind is made anew for a fresh listener in every
round, in the same way, so that the least of a datagram's times is what it costs and the rest is the machine's. Worst:
of all that were made of a kind. Honest: a download's request that speaks for two packets and is answered with three,
brought to the same size by input. The bar is five; a hello is what any client begins with, and most of it is the work
of a public key.
"""

import argparse
import gc
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.support.costly import KINDS, costly, honest
from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import median
from benchmarks.support.tables import number, table
from trickles.drivers.spooldir import SpoolDirectory
from trickles.limits import Limits
from trickles.listener import Listener
from trickles.tools.attacks.desk import ADDRESSES, KEYRING, DeskTarget, Endless
from trickles.tools.attacks.stage import Bounds, Stage

WARM_UP = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One kind: bytes of the worst datagram, its microseconds, and those of an honest request of that size."""

    kind: str
    size_bytes: int
    worst_us: float
    honest_us: float

    @property
    def ratio(self) -> float:
        """How many honest requests it costs."""
        return self.worst_us / self.honest_us


def stage(folder: str) -> tuple[DeskTarget, Stage]:
    """A fresh listener that serves without end and takes uploads, and who talks to it."""
    limits = Limits(replay_bits=1 << 16)  # or each round pays for pages of memory that it touches first
    spool = SpoolDirectory(Path(folder) / "spool")
    target = DeskTarget(lambda entropy: Listener(KEYRING, Endless(), entropy=entropy, limits=limits, spool=spool))
    return target, Stage(target, Bounds(most_datagrams=1 << 20), "hostile")


def times(target: DeskTarget, datagrams: Sequence[bytes]) -> list[float]:
    """Seconds of each, but for the first few, which find all caches cold."""
    handle, source, now, taken = target.listener.handle, ADDRESSES[0], target.now, []
    gc.disable()
    for datagram in datagrams:
        started = time.perf_counter()
        handle(datagram, source, now=now)
        taken.append(time.perf_counter() - started)
    gc.enable()
    return taken[WARM_UP:]


def measure(kind: str, count: int, rounds: int) -> Row:
    """The least of each datagram's times over some rounds; then the worst datagram, and the usual honest one."""
    bad: list[list[float]] = []
    good: list[list[float]] = []
    sizes: list[int] = []
    for _ in range(rounds):
        with TemporaryDirectory() as folder:
            target, place = stage(folder)
            made = costly(kind, place, count)
            sizes = list(map(len, made))[WARM_UP:]
            bad.append(times(target, made))
            target, place = stage(f"{folder}/honest")
            good.append(times(target, honest(place, max(sizes), count)))
    least = [min(each) for each in zip(*bad, strict=True)]
    worst = max(range(len(least)), key=least.__getitem__)
    usual = median([min(each) for each in zip(*good, strict=True)])
    return Row(kind, sizes[worst], least[worst] * 1e6, usual * 1e6)


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    heads = ["the worst datagram of a kind", "bytes", "CPU us", "honest request, us", "ratio"]
    cells = [
        [each.kind, f"{each.size_bytes:,}", number(each.worst_us, 1), number(each.honest_us, 1), number(each.ratio)]
        for each in sorted(rows, key=lambda row: -row.ratio)
    ]
    print(table("CPU of one hostile datagram", heads, cells), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks hostile", description=__doc__)
    options.add_argument("--count", type=int, default=60, help="datagrams of each kind")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--only", nargs="+", default=[], help="words of the kinds to run")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save."""
    options, outcome = parser().parse_args(argv), Outcome()
    kinds = [kind for kind in KINDS if not options.only or any(word in kind for word in options.only)]
    rows = [measure(kind, options.count, options.rounds) for kind in kinds]
    show(rows)
    outcome.figures["rows"] = [asdict(each) | {"ratio": each.ratio} for each in rows]
    save("hostile", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
