"""Figures that outlive processes: what the dead of each name have counted, kept by their supervisor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

COUNTED = (
    *("packets_in", "packets_out", "bytes_out", "requests", "refusals"),  # by a replica
    *("accepted", "completed", "failed", "reset", "failovers", "bytes_in"),  # by a gateway, with bytes_out
)
_MOST = 1 << 63
Figures = Mapping[str, object]


class Totals:
    """By name; `look` takes what processes tell now, `dead` is what those had counted that do not tell any more.

    What a process counted after it told for the last time is lost with it.
    """

    def __init__(self) -> None:
        self._last: dict[str, Figures] = {}
        self._dead: dict[str, Counter[str]] = {}

    def look(self, name: str, figures: Figures) -> None:
        """Take the figures of the process of that name; those of another pid than before are a successor's."""
        if not isinstance(figures.get("pid"), int):
            return
        before = self._last.get(name)
        if before is not None and before["pid"] != figures["pid"]:
            self._dead.setdefault(name, Counter()).update(counted(before))
        self._last[name] = figures

    def dead(self) -> dict[str, dict[str, int]]:
        """What the predecessors of each have counted."""
        return {name: dict(counts) for name, counts in self._dead.items()}


def counted(figures: Figures) -> dict[str, int]:
    """The figures that add up: numbers that can be counts, whoever wrote them."""
    return {name: value for name in COUNTED if isinstance(value := figures.get(name), int) and 0 <= value < _MOST}


def total(dead: object, figures: Figures) -> dict[str, int]:
    """What a process and its predecessors have counted; `dead` as `Totals.dead` has it for that name."""
    together = Counter(counted(figures))
    together.update(counted(dead) if isinstance(dead, dict) else {})
    return dict(together)
