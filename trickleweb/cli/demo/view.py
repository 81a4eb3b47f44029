"""A demonstration on a terminal, redrawn ten times a second; plain lines where it is no terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TextIO

from trickleweb.cli.demo.story import Kill, Sample, Story
from trickleweb.cli.rundir import replica_name

WAITING = "the next kill waits for another replica to be ready: this machine is busy"
_BAR_CHARS = 24
_PLAIN_SECONDS = 1.0
_BOLD, _RED, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[0m"


class View:
    """Shows a story as it proceeds."""

    def __init__(self, out: TextIO, story: Story) -> None:
        self._out = out
        self._story = story
        self._live = out.isatty()
        self._color = self._live and not os.environ.get("NO_COLOR")
        self._drawn = 0  # lines on the screen
        self._next_line = 0.0

    def sampled(self) -> None:
        """Show the latest sample."""
        if self._live:
            self._draw()
        elif self._story.samples[-1].seconds >= self._next_line:
            self._next_line = self._story.samples[-1].seconds + _PLAIN_SECONDS
            print(line(self._story), file=self._out, flush=True)

    def killed(self, kill: Kill) -> None:
        """Report a kill."""
        if not self._live:
            print(f"{kill.seconds:5.1f} s  kill -9 {replica_name(kill.replica)}", file=self._out, flush=True)

    def held_up(self) -> None:
        """Report a delayed kill: no other replica is ready."""
        if not self._live:
            print(f"{self._story.samples[-1].seconds:5.1f} s  {WAITING}", file=self._out, flush=True)

    def _draw(self) -> None:
        columns = shutil.get_terminal_size().columns
        lines = picture(self._story)
        lines += [("", "")] * (self._drawn - len(lines))  # to erase old lines
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._drawn = len(lines)
        self._out.write(up + "".join(f"{self._painted(paint, text[: columns - 1])}\x1b[K\n" for paint, text in lines))
        self._out.flush()

    def _painted(self, paint: str, text: str) -> str:
        return f"{paint}{text}{_PLAIN}" if paint and self._color else text


def picture(story: Story) -> list[tuple[str, str]]:
    """Return the lines to draw with their colour: one for each replica, then the download's; at most 79 columns."""
    sample = story.samples[-1]
    rows = [_row(story, sample, index) for index in range(story.replicas)]
    share = sample.received_bytes / story.size_bytes
    size = f"{_megabytes(sample.received_bytes)} of {_megabytes(story.size_bytes)} MB"
    rate = f"{story.rate_bytes / 1e6:.1f} MB/s"
    done = f"[{bar(share, _BAR_CHARS, '='):{_BAR_CHARS}}]"
    waiting = [("", f"{'':10} {WAITING}")] if story.is_held_up else []
    return [*rows, ("", ""), ("", f"{share:10.0%} {done} {size}, {rate}, {len(story.kills)} kills"), *waiting]


def _row(story: Story, sample: Sample, index: int) -> tuple[str, str]:
    """Return a replica's line; the longest bar is that of the replica that served most."""
    served, packets, kills = story.served_bytes[index], sample.packets[index], story.kills_of(index)
    amount = f"[{bar(served / max(1, *story.served_bytes), _BAR_CHARS, '#'):{_BAR_CHARS}}]"
    paint, state = _state(sample, index)
    return paint, f"{replica_name(index):>10} {amount} {packets:6} packets, {kills:2} kills  {state}".rstrip()


def _state(sample: Sample, index: int) -> tuple[str, str]:
    if sample.pids[index] is None:
        return _RED, "dead"
    return (_BOLD, "at work") if sample.at_work == index else ("", "")


def bar(share: float, chars: int, mark: str) -> str:
    return mark * round(min(max(share, 0.0), 1.0) * chars)


def line(story: Story) -> str:
    """Return the state in one line."""
    sample = story.samples[-1]
    at_work = "-" if sample.at_work is None else replica_name(sample.at_work)
    packets = " ".join(map(str, sample.packets))
    size = f"{_megabytes(sample.received_bytes)} of {_megabytes(story.size_bytes)} MB"
    rate = f"{story.rate_bytes / 1e6:6.1f} MB/s"
    return f"{sample.seconds:5.1f} s  {size}  {rate}  at work: {at_work}  packets: {packets}  kills: {len(story.kills)}"


def verdict(story: Story, client: str, code: int, source: str, download: str) -> Sequence[str]:
    """Return the result in lines."""
    taken = story.samples[-1].seconds if story.samples else 0.0
    equal = "equal to the source" if source == download else "NOT EQUAL to the source"
    return [
        f"source    sha256 {source}",
        f"download  sha256 {download}  {equal}",
        f"{client:9} exit code {code}, after {taken:.1f} s",
        f"kills     {len(story.kills)}, each of the replica that was serving",
        f"pauses    {1000 * story.longest_pause:.0f} ms at most, including those of {client} to keep its rate",
    ]


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f}"
