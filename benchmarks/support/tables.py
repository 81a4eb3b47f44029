"""Tables for a terminal: the first column left, numbers right."""

from collections.abc import Sequence


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A titled table in plain text."""
    widths = [max(len(cells[column]) for cells in (headers, *rows)) for column in range(len(headers))]
    lines = [aligned(headers, widths), "  ".join("-" * width for width in widths)]
    return "\n".join(["", title, "", *lines, *(aligned(row, widths) for row in rows), ""])


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()


def number(value: float | None, digits: int = 2) -> str:
    """The number with thousands separated, or a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def times(value: float | None) -> str:
    """A ratio as "1.25x", or a dash."""
    return "-" if value is None else f"{value:.2f}x"
