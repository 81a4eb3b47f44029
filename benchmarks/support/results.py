"""Results as JSON files, with the machine and the versions they were measured on."""

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from benchmarks.support.processes import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"
PACKAGES = ("aioquic", "asyncpg", "cryptography", "granian", "h11", "httptools", "starlette", "uvicorn", "uvloop")


@dataclass(slots=True)
class Outcome:
    """What a benchmark hands back: figures for the JSON file, what was skipped and what went wrong."""

    figures: dict[str, object] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def skip(self, name: str, reason: str) -> None:
        """Note a peer that cannot run here, once."""
        if name not in self.skipped:
            print(f"skipped {name}: {reason}", flush=True)
            self.skipped[name] = reason

    def fail(self, what: str) -> None:
        """Note a wrong hash, an incomplete run or a broken process."""
        print(f"ERROR {what}", flush=True)
        self.errors.append(what)


def machine() -> dict[str, object]:
    """The machine and the versions that matter to the figures."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := version_of(name)) is not None},
    }


def cpu_name() -> str:
    """The model name of the first processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version_of(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def save(benchmark: str, options: Mapping[str, object], outcome: Outcome) -> Path:
    """Write benchmarks/results/NAME-TIME.json and return its path."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    document = {
        "benchmark": benchmark,
        "time": stamp,
        "machine": machine(),
        "options": {name: value for name, value in options.items() if name != "handler"},
        "figures": outcome.figures,
        "skipped": outcome.skipped,
        "errors": outcome.errors,
    }
    path = RESULTS / f"{benchmark}-{stamp}.json"
    path.write_text(json.dumps(document, indent=1, default=str) + "\n")
    print(f"results: {path.relative_to(REPOSITORY)}", flush=True)
    return path


def newest(benchmark: str) -> dict[str, object] | None:
    """The latest saved document of a benchmark, or None."""
    paths = sorted(RESULTS.glob(f"{benchmark}-*.json"))
    if not paths:
        return None
    document: dict[str, object] = json.loads(paths[-1].read_text())
    return document
