"""State of a demonstration (samples, kills, pauses; the clock is the caller's) and its recording as JSON lines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from trickleweb.cli.rundir import replica_name

FORMAT = "trickleweb demo 1"
_RATE_SECONDS = 1.0  # the rate shown is that of the last second


@dataclass(frozen=True, slots=True)
class Sample:
    """State at one moment, in seconds since the download began.

    `packets` counts those of each replica over all its processes; `pids` are None for replicas that are not ready;
    `at_work` is the index of the replica that served last, None while that is unknown.
    """

    seconds: float
    received_bytes: int
    packets: tuple[int, ...]
    pids: tuple[int | None, ...]
    at_work: int | None


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL of a replica."""

    seconds: float
    replica: int


@dataclass(slots=True)
class Story:
    """The download of `size_bytes` through `replicas`, as seen from outside."""

    size_bytes: int
    replicas: int
    samples: list[Sample] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    is_held_up: bool = False  # a kill is due, and no other replica is ready
    longest_pause: float = 0.0  # seconds in which nothing arrived, from the first byte to the last
    served_bytes: list[int] = field(init=False)  # received while each replica was at work
    _grown_at: float | None = None
    _grown_to: int = 0

    def __post_init__(self) -> None:
        self.served_bytes = [0] * self.replicas

    def add(self, sample: Sample) -> None:
        """Add a sample."""
        before = self.samples[-1].received_bytes if self.samples else 0
        if sample.at_work is not None:
            self.served_bytes[sample.at_work] += sample.received_bytes - before
        self.samples.append(sample)

    def grew(self, seconds: float, received_bytes: int) -> None:
        """Note the bytes received by now; frequent calls find the longest pause."""
        if received_bytes > self._grown_to:
            if self._grown_at is not None:
                self.longest_pause = max(self.longest_pause, seconds - self._grown_at)
            self._grown_at, self._grown_to = seconds, received_bytes

    @property
    def rate_bytes(self) -> float:
        """Bytes per second during the last second."""
        if not self.samples:
            return 0.0
        last = self.samples[-1]
        first = next(each for each in self.samples if each.seconds >= last.seconds - _RATE_SECONDS)
        return (last.received_bytes - first.received_bytes) / max(last.seconds - first.seconds, 1e-3)

    def kills_of(self, replica: int) -> int:
        return sum(kill.replica == replica for kill in self.kills)


def recording(story: Story, result: dict[str, object]) -> Iterator[str]:
    """Yield one JSON object a line; times are seconds since the download began."""
    yield json.dumps({"format": FORMAT, "size_bytes": story.size_bytes, "replicas": story.replicas} | machine())
    moments: list[tuple[float, dict[str, object]]] = [(kill.seconds, _kill(kill.replica)) for kill in story.kills]
    for each in story.samples:
        alive = [pid is not None for pid in each.pids]
        figures = {"bytes": each.received_bytes, "packets": each.packets, "alive": alive, "at_work": each.at_work}
        moments.append((each.seconds, figures))
    for seconds, figures in sorted(moments, key=lambda moment: moment[0]):
        yield json.dumps({"seconds": round(seconds, 3)} | figures)
    yield json.dumps({"result": result | {"longest_pause_ms": round(1000 * story.longest_pause, 1)}})


def write_recording(path: Path, story: Story, result: dict[str, object]) -> None:
    """Write the recording; raise OSError."""
    path.write_text("".join(f"{line}\n" for line in recording(story, result)), "utf-8")


def machine() -> dict[str, object]:
    """Return the date and the kind of machine."""
    date = datetime.now(UTC).date().isoformat()
    return {
        "date": date,
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _kill(replica: int) -> dict[str, object]:
    return {"kill": replica_name(replica), "replica": replica}
