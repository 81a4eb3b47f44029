"""Draw what `trickleweb demo --record FILE` wrote: python docs/plot_demo.py FILE docs/images/demo.svg.

Above, the bytes that the client had, coloured by the replica at work; below, a lane for each replica: faint while it
was ready, full while it was at work. A cross is a SIGKILL.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

WIDTH, LEFT, RIGHT = 860, 70, 14
TOP, CHART, LANE, GAP = 56, 200, 18, 10
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by everybody (Okabe and Ito)
GREY, INK = "#bbbbbb", "#222222"


@dataclass(frozen=True, slots=True)
class Recording:
    """The lines of a recording, by kind."""

    header: dict[str, Any]
    samples: list[dict[str, Any]]
    kills: list[dict[str, Any]]
    result: dict[str, Any]


def read(text: str) -> Recording:
    """Parse a recording; ValueError when it is none."""
    header, *rest, last = [json.loads(line) for line in text.splitlines()]
    if header.get("format") != "trickleweb demo 1" or "result" not in last:
        raise ValueError("this is no recording of `trickleweb demo`")
    samples = [line for line in rest if "bytes" in line]
    return Recording(header, samples, [line for line in rest if "kill" in line], last["result"])


def svg(recording: Recording) -> str:
    """The picture."""
    plot = Plot(recording)
    bottom = TOP + CHART + GAP + plot.replicas * (LANE + 4)
    parts = [*plot.titles(), *plot.grid(bottom), *plot.curve(), *plot.lanes(), *plot.crosses()]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 34}" font-family="sans-serif"'
    style = f' font-size="13" fill="{INK}" role="img"><title>A download while replicas are killed</title>'
    return "\n".join([head + style, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


class Plot:
    """Where things of one recording lie, in pixels."""

    def __init__(self, recording: Recording) -> None:
        self.it = recording
        self.replicas: int = recording.header["replicas"]
        self.seconds: float = recording.samples[-1]["seconds"]
        self.size_bytes: int = recording.header["size_bytes"]

    def x(self, seconds: float) -> float:
        """The place of a moment."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds, 1)

    def y(self, received_bytes: float) -> float:
        """The place of an amount."""
        return round(TOP + CHART * (1 - received_bytes / self.size_bytes), 1)

    def lane(self, replica: int) -> int:
        """The upper edge of a replica's lane."""
        return TOP + CHART + GAP + replica * (LANE + 4)

    def titles(self) -> Iterator[str]:
        """What is seen, and where it was."""
        header, result = self.it.header, self.it.result
        equal = "the same sha256" if result["equal"] else "ANOTHER sha256"
        title = (
            f"{self.size_bytes / 1e6:.0f} MB by one {result['client']}, the replica at work killed"
            f" {len(self.it.kills)} times: exit code {result['exit']}, {equal}"
        )
        machine = f"{header['cpus']} CPUs ({header['machine']}), {header['system']}, Python {header['python']}"
        yield f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">{title}</text>'
        yield f'<text x="{LEFT}" y="41">recorded on {header["date"]}, {machine}; a cross is a kill -9</text>'

    def grid(self, bottom: int) -> Iterator[str]:
        """Axes and what they say."""
        for share in (0, 0.25, 0.5, 0.75, 1):
            y = self.y(share * self.size_bytes)
            yield f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{GREY}" stroke-width="0.5"/>'
            label = f"{share * self.size_bytes / 1e6:.0f} MB"
            yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{label}</text>'
        for second in range(0, int(self.seconds) + 1, max(1, int(self.seconds) // 15)):
            x = self.x(second)
            yield f'<path d="M{x} {bottom}v4" stroke="{INK}"/>'
            yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{second}</text>'
        yield f'<text x="{LEFT - 6}" y="{bottom + 18}" text-anchor="end">seconds</text>'

    def curve(self) -> Iterator[str]:
        """The bytes received, a stroke for each stretch in which one replica was at work."""
        for start, stop, replica in stretches(self.it.samples, lambda sample: sample["at_work"]):
            points = [
                (self.x(each["seconds"]), self.y(each["bytes"]))
                for each in self.it.samples
                if start <= each["seconds"] <= stop
            ]
            path = "M" + "L".join(f"{x} {y}" for x, y in points)
            yield f'<path d="{path}" fill="none" stroke="{color(replica)}" stroke-width="3" stroke-linejoin="round"/>'

    def lanes(self) -> Iterator[str]:
        """When each replica was ready, and when it was at work."""
        for replica in range(self.replicas):
            y = self.lane(replica)
            yield f'<text x="{LEFT - 6}" y="{y + 14}" text-anchor="end">replica {replica}</text>'
            for opacity, state in ((0.25, alive), (1, at_work)):
                for start, stop, holds in stretches(self.it.samples, state(replica)):
                    if holds:
                        x, width = self.x(start), round(self.x(stop) - self.x(start), 1)
                        box = f'x="{x}" y="{y}" width="{width}" height="{LANE}"'
                        yield f'<rect {box} fill="{color(replica)}" fill-opacity="{opacity}"/>'

    def crosses(self) -> Iterator[str]:
        """The kills."""
        for kill in self.it.kills:
            x, y = self.x(kill["seconds"]), self.lane(kill["replica"]) + LANE / 2
            yield f'<path d="M{x} {TOP}V{y}" stroke="{INK}" stroke-width="0.5" stroke-dasharray="2 3"/>'
            yield f'<path d="M{x - 5} {y - 5}l10 10m0 -10l-10 10" stroke="{INK}" stroke-width="2.5"/>'


def alive(replica: int) -> Any:
    """Whether that replica was ready, as a function of a sample."""
    return lambda sample: sample["alive"][replica]


def at_work(replica: int) -> Any:
    """Whether that replica was at work, as a function of a sample."""
    return lambda sample: sample["at_work"] == replica


def stretches(samples: Sequence[dict[str, Any]], state: Any) -> Iterator[tuple[float, float, Any]]:
    """(start, stop, state) for each stretch of time in which the state of the samples that end it is the same."""
    start, held = samples[0]["seconds"], state(samples[1] if len(samples) > 1 else samples[0])
    for before, after in pairwise(samples):
        if state(after) != held:
            yield start, before["seconds"], held
            start, held = before["seconds"], state(after)
    yield start, samples[-1]["seconds"], held


def color(replica: int | None) -> str:
    """The colour of a replica, grey for none."""
    return GREY if replica is None else COLORS[replica % len(COLORS)]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    Path(sys.argv[2]).write_text(svg(read(Path(sys.argv[1]).read_text("utf-8"))), "utf-8")
