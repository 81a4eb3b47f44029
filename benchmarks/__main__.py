"""All benchmarks by one command.

python -m benchmarks                          all of them, in full (about an hour and a half)
python -m benchmarks --quick                  all of them, short: do they run, and roughly what comes out
python -m benchmarks transfer --rounds 3      one of them, with its own options (--help shows them)
python -m benchmarks conformance --suite ...  public suites that you have: the one that is not run with the others
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import FrameType

from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import machine

NAMES = (
    "transfer",
    "failover",
    "routes",
    "request_cost",
    "ledgers",
    "simulated",
    "scale",
    "http_load",
    "kills",
    "leaving",
    "programs",
    "stored",
    "events",
    "uploads",
    "applications",
    "latency",
    "crowd",
    "memory",
    "trees",
    "attacks",
    "floods",
    "hostile",
    "bad_days",
    "conformance",
)

# The plot shows the last run of each.
FULL = (
    ("transfer", ""),
    ("failover", ""),
    ("routes", ""),
    ("request_cost", ""),
    ("ledgers", ""),
    ("simulated", ""),
    ("scale", ""),
    ("http_load", ""),
    ("kills", "--victim serving --downloads 100 --only trickleweb"),
    ("kills", ""),
    ("leaving", ""),
    ("programs", ""),
    ("stored", ""),
    ("events", ""),
    ("uploads", ""),
    ("applications", ""),
    ("latency", ""),
    ("crowd", ""),
    ("memory", ""),
    ("trees", ""),
    ("attacks", ""),
    ("floods", ""),
    ("hostile", ""),
    ("bad_days", ""),
)
QUICK = (
    ("transfer", "--megabytes 50 --slow-megabytes 5 --rounds 1"),
    ("request_cost", "--connections 10 --bursts 300"),
    ("ledgers", "--seconds 1 --rounds 1"),
    ("failover", "--kills 3"),
    ("routes", "--megabytes 20 --rounds 1 --uploads 5"),
    ("scale", "--clients 5000 --replicas 20"),
    ("http_load", "--seconds 1 --megabytes 50 --rounds 1"),
    ("kills", "--downloads 10 --megabytes 100"),
    ("leaving", "--kills 3 --rows 1 --clients 3"),
    ("programs", "--seconds 1 --rounds 1 --megabytes 50 --uploads 1"),
    ("stored", "--seconds 1 --megabytes 30 --forms 50 --rounds 1"),
    ("events", "--streams 300 --topics 30 --seconds 2 --rate 5"),
    ("uploads", "--megabytes 50 --kill-after 0.5"),
    ("applications", "--here --only FastAPI Flask --seconds 2"),
    ("latency", "--requests 200"),
    ("crowd", "--clients 100"),
    ("memory", "--connections 500 --native 5000"),
    ("trees", "--files 2000 --gigabytes 0.5"),
    ("attacks", "--seeds 1 --seconds 3 --rounds 8"),
    ("floods", "--connections 2000 --seconds 1 --rounds 1"),
    ("hostile", "--rounds 3"),
    ("bad_days", "--seconds 1.5"),
)


def run(name: str, argv: Sequence[str]) -> int:
    """Run one benchmark; returns its exit status. What breaks one does not end the others."""
    print(f"\n== {name} {' '.join(argv)}".rstrip(), flush=True)
    try:
        status: int = import_module(f"benchmarks.{name}").main(argv)
    except (ChildFailed, OSError, subprocess.SubprocessError) as error:
        print(f"ERROR {name}: {error}", flush=True)
        return 1
    return status


def run_all(plan: Sequence[tuple[str, str]]) -> int:
    """Run a plan, then draw what came of it; 1 if anything was wrong or incomplete."""
    print(f"machine: {machine()}")
    failed = [name for name, options in plan if run(name, options.split()) != 0]
    if find_spec("matplotlib") is not None:
        import_module("benchmarks.plots").main([])
    if failed:
        print(f"errors in: {', '.join(failed)}")
    return 1 if failed else 0


def interrupted(_signal: int, _frame: FrameType | None) -> None:
    """End like Ctrl-C does, so that every child and namespace is cleaned up."""
    raise KeyboardInterrupt


def main(argv: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, interrupted)
    if argv and argv[0] in NAMES:
        return run(argv[0], argv[1:])
    if argv in ([], ["--quick"]):
        return run_all(QUICK if argv else FULL)
    print(f"{__doc__}\nThere are: {', '.join(NAMES)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
