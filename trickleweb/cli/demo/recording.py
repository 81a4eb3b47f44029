"""A demonstration as JSON lines: its parameters, samples and kills in order of time, its result."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from trickleweb.cli.demo.story import Story
from trickleweb.cli.rundir import replica_name

FORMAT = "trickleweb demo 1"


def lines(story: Story, result: dict[str, object]) -> Iterator[str]:
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


def write(path: Path, story: Story, result: dict[str, object]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines(story, result)), "utf-8")


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
