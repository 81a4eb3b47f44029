"""A demonstration on a terminal: a picture drawn anew ten times a second, or plain lines where it is no terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TextIO

from trickleweb.cli.demo.story import Kill, Sample, Story
from trickleweb.cli.rundir import replica_name

_BAR_CHARS = 32
_PLAIN_SECONDS = 1.0
_BOLD, _DIM, _RED, _END = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


class View:
    """Shows a story as it goes on."""

    def __init__(self, out: TextIO, story: Story) -> None:
        self._out = out
        self._story = story
        self._live = out.isatty()
        self._color = self._live and not os.environ.get("NO_COLOR")
        self._drawn = 0  # lines of the picture that stand on the screen
        self._next_line = 0.0

    def sampled(self) -> None:
        """There is a new sample."""
        if self._live:
            self._draw()
        elif self._story.samples[-1].seconds >= self._next_line:
            self._next_line = self._story.samples[-1].seconds + _PLAIN_SECONDS
            print(line(self._story), file=self._out, flush=True)

    def killed(self, kill: Kill) -> None:
        """A replica was killed."""
        if not self._live:
            print(f"{kill.seconds:5.1f} s  kill -9 {replica_name(kill.replica)}", file=self._out, flush=True)

    def _draw(self) -> None:
        columns = shutil.get_terminal_size().columns
        lines = [text[: columns - 1] for text in picture(self._story)]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._drawn = len(lines)
        shown = [self._painted(text) for text in lines]
        self._out.write(up + "".join(f"{text}\x1b[K\n" for text in shown))
        self._out.flush()

    def _painted(self, text: str) -> str:
        if not self._color:
            return text
        if text.endswith(_AT_WORK):
            return f"{_BOLD}{text}{_END}"
        return f"{_RED}{text}{_END}" if text.endswith(_DEAD) else text


_AT_WORK, _DEAD = "<- at work", "dead"


def picture(story: Story) -> list[str]:
    """The lines to draw: one for each replica, then the download's."""
    sample = story.samples[-1]
    most = max(1, *sample.packets)
    rows = [_row(story, sample, index, most) for index in range(story.replicas)]
    share = sample.received_bytes / story.size_bytes
    done = bar(share, _BAR_CHARS, "=")
    size = f"{_megabytes(sample.received_bytes)} of {_megabytes(story.size_bytes)} MB"
    rate = f"{story.rate_bytes / 1e6:.1f} MB/s"
    pause = f"longest pause {1000 * story.longest_pause:.0f} ms"
    return [*rows, "", f"[{done:{_BAR_CHARS}}] {share:4.0%}  {size}  {rate}  kills {len(story.kills)}  {pause}"]


def _row(story: Story, sample: Sample, index: int, most: int) -> str:
    packets, kills = sample.packets[index], story.kills_of(index)
    state = _DEAD if sample.pids[index] is None else _AT_WORK if sample.at_work == index else ""
    amount = bar(packets / most, _BAR_CHARS, "#")
    return f"{replica_name(index):10} {amount:{_BAR_CHARS}} {packets:7} packets, killed {kills:3}x  {state}".rstrip()


def bar(share: float, chars: int, mark: str) -> str:
    """A bar for a share of 1."""
    return mark * round(min(max(share, 0.0), 1.0) * chars)


def line(story: Story) -> str:
    """The same in one line."""
    sample = story.samples[-1]
    at_work = "-" if sample.at_work is None else replica_name(sample.at_work)
    packets = " ".join(map(str, sample.packets))
    size = f"{_megabytes(sample.received_bytes)} of {_megabytes(story.size_bytes)} MB"
    rate = f"{story.rate_bytes / 1e6:6.1f} MB/s"
    return f"{sample.seconds:5.1f} s  {size}  {rate}  at work: {at_work}  packets: {packets}  kills: {len(story.kills)}"


def verdict(story: Story, client: str, code: int, source: str, download: str) -> Sequence[str]:
    """What came of it, in lines."""
    taken = story.samples[-1].seconds if story.samples else 0.0
    equal = "equal to the source" if source == download else "NOT EQUAL to the source"
    return [
        f"source    sha256 {source}",
        f"download  sha256 {download}  {equal}",
        f"{client:9} exit code {code}, after {taken:.1f} s",
        f"kills     {len(story.kills)}, each of the replica at work; longest stall {1000 * story.longest_pause:.0f} ms",
    ]


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f}"
