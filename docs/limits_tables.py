"""Update the tables of limits in operations.md from the source: python docs/limits_tables.py.

A table follows its comment `<!-- table: MODULE CLASS -->`; without a class it is of the module's constants that
begin with MOST_.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "operations.md"
_TABLE = re.compile(r"(<!-- table: (\S+)(?: (\S+))? -->\n)(?:\n?\|[^\n]*\n)*", re.MULTILINE)
_FIELD = re.compile(r"^(?:    )?(?P<name>\w+)(?:: [^=]+)? = (?P<value>.*?)(?:  # (?P<why>.*))?$")
_HEADING = re.compile(r"^    # (.*)$")
_TIMES = ((3600 * 10**6, "h"), (10**6, "s"), (10**3, "ms"))
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def page(text: str) -> str:
    """The page with its tables as the source has them."""
    return _TABLE.sub(lambda found: found[1] + "\n" + "".join(rows(found[2], found[3])), text)


def rows(module: str, name: str | None) -> Iterator[str]:
    """The lines of one table."""
    home: Any = import_module(module)
    holder = home if name is None else getattr(home, name)()
    yield "| limit | default | why, or what for |\n"
    yield "|---|---|---|\n"
    heading = ""
    for line in inspect.getsource(home if name is None else getattr(home, name)).splitlines():
        if found := _HEADING.match(line):
            heading = found[1]
        elif (found := _FIELD.match(line)) and (name is not None or found["name"].startswith("MOST_")):
            shown = value(found["name"], found["value"], getattr(holder, found["name"]))
            yield f"| `{found['name']}` | {shown} | {found['why'] or heading} |\n"


def value(name: str, source: str, default: object) -> str:
    """A default as people read it; `source` is how it is written, which tells its unit."""
    if isinstance(default, frozenset):
        return ", ".join(sorted(default))
    assert isinstance(default, int | float)
    if default == 0:
        return "0"
    if "SECOND" in source:
        return scaled(default, _TIMES)
    if isinstance(default, float):
        return scaled(default * 10**6, _TIMES)
    if "bytes" in name.lower() or "high_water" in name:
        return scaled(default, _SIZES) if default >= 1 << 16 and default % (1 << 10) == 0 else f"{default:,} bytes"
    return f"{default:,}"


def scaled(amount: float, units: tuple[tuple[int, str], ...]) -> str:
    """The amount in the largest unit that it is a whole number of."""
    size, unit = next((size, unit) for size, unit in units if amount % size == 0)
    return f"{amount / size:,.0f} {unit}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
