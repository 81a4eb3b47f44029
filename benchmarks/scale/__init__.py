"""What happens to a large fleet? Seven scenes of a million clients and a thousand replicas, in a model of flows.

Each client is a flow with one rate and one state, each replica a capacity with a queue (`flows`, `fleet`); costs are
measured ones (`costs`), and the load is chosen. `check` runs one scene with the true engines in the packet simulator,
and with flows at the same size, and shows both.

python -m benchmarks scale                       all scenes and the check: half an hour
python -m benchmarks scale --scene quarter       one of them
python -m benchmarks scale --clients 20000 --replicas 100
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec

from benchmarks.scale.check import check
from benchmarks.scale.keys import rotation
from benchmarks.scale.outages import comeback, deploy, quarter
from benchmarks.scale.routing import herd, rehash
from benchmarks.scale.shards import ledger
from benchmarks.scale.world import Outcomes, Scale
from benchmarks.support.results import RESULTS, Outcome, save
from benchmarks.support.tables import number, table

SCENES: dict[str, Callable[[Scale], Outcomes]] = {
    "check": check,
    "deploy": deploy,
    "quarter": quarter,
    "rotation": rotation,
    "comeback": comeback,
    "rehash": rehash,
    "herd": herd,
    "ledger": ledger,
}


def show(found: Outcomes) -> None:
    """Print a scene's table."""
    rows = [[name, *(number(value, 0 if value >= 1000 else 2) for value in values)] for name, values in found.rows]
    print(table(found.title, ["", *found.columns], rows), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="benchmarks scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--scene", choices=SCENES, nargs="+", default=list(SCENES))
    options.add_argument("--clients", type=int, default=1_000_000)
    options.add_argument("--replicas", type=int, default=1_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--load", type=float, default=0.5, help="of the fleet before anything happens")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, draw, save."""
    given, outcome = parser().parse_args(argv), Outcome()
    if given.clients < 10 or given.replicas < 4 or not 0 < given.load < 1:
        print("ERROR scale: at least 10 clients, 4 replicas, and a load between 0 and 1")
        return 2
    scale = Scale(clients=given.clients, replicas=given.replicas, seed=given.seed, load=given.load)
    done: dict[str, Outcomes] = {}
    for name in given.scene:
        started = time.perf_counter()
        done[name] = found = SCENES[name](scale)
        show(found)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name}: {time.perf_counter() - started:.0f} s, {peak:,.0f} MiB at most", flush=True)
        outcome.figures[name] = asdict(found)
    if find_spec("matplotlib") is None:
        outcome.skip("plots", "matplotlib is not installed")
    else:
        for path in import_module("benchmarks.scale.plots").draw(done, RESULTS / "plots"):
            print(f"plot: {path}")
    save("scale", vars(given), outcome)
    return 1 if outcome.errors else 0
