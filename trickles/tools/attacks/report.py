"""Results of attacks, as a table for people and as a document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from trickles.tools.attacks.catalogue import ATTACKS, Result

_UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Struck:
    """One attack's results: at a replica (if one was named), and here with and without the defence."""

    replica: Result | None
    defended: Result
    undefended: Result


def table(done: Mapping[str, Struck]) -> Iterator[str]:
    """Yield one line for each attack: its gains, datagrams sent and earned, and the unit of the gain."""
    live = any(each.replica for each in done.values())
    head = ["attack", *(["at the replica"] if live else []), "here", "undefended", "sent", "earned", "gain is"]
    rows = [head]
    for name, struck in done.items():
        first = struck.replica or struck.defended
        gains = [*([struck.replica] if live else []), struck.defended, struck.undefended]
        sums = [_amount(first.account.sent, first.account.sent_bytes)]
        sums.append(_amount(first.account.earned, first.account.earned_bytes))
        rows.append([name, *(_gain(each) for each in gains), *sums, ATTACKS[name].measure])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:-1], widths[1:-1], strict=True)), row[-1]]
        yield "  ".join(cells)


def document(done: Mapping[str, Struck], replica: str | None) -> dict[str, object]:
    """Return the same with all counts, but without times, which depend on the machine."""
    return {
        "replica": replica,
        "attacks": [
            {
                "name": name,
                "measure": ATTACKS[name].measure,
                "without": sorted(each.name.lower() for each in ATTACKS[name].without),
                "replica": _counts(struck.replica),
                "defended": _counts(struck.defended),
                "undefended": _counts(struck.undefended),
            }
            for name, struck in done.items()
        ],
    }


def _counts(result: Result | None) -> dict[str, object] | None:
    if result is None:
        return None
    return {"gain": result.gain, **asdict(result.account)}


def _gain(result: Result | None) -> str:
    return _UNKNOWN if result is None or result.gain is None else f"{result.gain:,.2f}"


def _amount(count: int, size_bytes: int) -> str:
    return f"{count:,} ({_size(size_bytes)})"


def _size(size_bytes: int) -> str:
    for unit, factor in (("MB", 1_000_000), ("kB", 1_000)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"
