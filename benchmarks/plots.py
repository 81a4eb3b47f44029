"""Pictures of the newest results: `python -m benchmarks.plots [FOLDER]` writes one SVG per benchmark."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.support.results import RESULTS, newest

OURS, THEIRS = "#c2410c", "#64748b"
Row = Mapping[str, object]
Panels = list[tuple[str, str, dict[str, float]]]  # title, unit, value by name


def figure(row: Row, name: str) -> float:
    """A number of a row; 0 where there is none."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def transfer(rows: Sequence[Row]) -> Panels:
    """Rate by kind, a panel for each path."""
    paths = dict.fromkeys(str(row["path"]) for row in rows)
    return [
        (f"transfer, {path}", "MB/s", {str(row["kind"]): figure(row, "rate") for row in rows if row["path"] == path})
        for path in paths
    ]


def http_load(rows: Sequence[Row]) -> Panels:
    """Rate by server, a panel for each load."""
    units = {"small": ("13 bytes", "requests/s"), "middle": ("10 kB", "requests/s"), "bulk": ("one large file", "MB/s")}
    return [
        (title, unit, {str(row["server"]): figure(row, "rate") for row in rows if row["load"] == load})
        for load, (title, unit) in units.items()
    ]


def latency(rows: Sequence[Row]) -> Panels:
    """Median by server, a panel for each way."""
    ways = dict.fromkeys(str(row["way"]) for row in rows)
    return [
        (
            f"one small request, {way}",
            "p50, us",
            {str(row["server"]): figure(row, "p50") for row in rows if row["way"] == way},
        )
        for way in ways
    ]


def kills(rows: Sequence[Row]) -> Panels:
    """Downloads that came through."""
    right = {str(row["fleet"]): 100 * figure(row, "right") / max(figure(row, "downloads"), 1) for row in rows}
    return [("downloads complete while replicas die", "%", right)]


def memory(rows: Sequence[Row]) -> Panels:
    """Bytes per idle connection."""
    each = {f"{row['name']}: {row['group']}": figure(row, "per_connection_bytes") / 1024 for row in rows}
    return [("one idle connection", "KiB", each)]


PLOTS: dict[str, tuple[str, Callable[[Sequence[Row]], Panels]]] = {
    "transfer": ("rows", transfer),
    "http_load": ("rows", http_load),
    "latency": ("rows", latency),
    "kills": ("campaigns", kills),
    "memory": ("grown", memory),
}


def bars(axes: Axes, title: str, unit: str, values: Mapping[str, float]) -> None:
    """Horizontal bars with their figures, ours in another colour."""
    names = list(values)[::-1]
    drawn = axes.barh(
        names, [values[name] for name in names], color=[OURS if "trickle" in name else THEIRS for name in names]
    )
    axes.bar_label(drawn, fmt=lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}", padding=3)
    axes.set_title(title, loc="left")
    axes.set_xlabel(unit)
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)


def draw(name: str, folder: Path) -> Path | None:
    """Draw the newest result of a benchmark; None if there is none."""
    document = newest(name)
    key, panels_of = PLOTS[name]
    figures = document["figures"] if document else None
    rows = figures.get(key) if isinstance(figures, dict) else None
    if not rows:
        return None
    panels = [panel for panel in panels_of(rows) if panel[2]]
    sheet, grid = plt.subplots(
        len(panels), 1, figsize=(8, 0.9 + 2.4 * len(panels)), squeeze=False, layout="constrained"
    )
    for axes, (title, unit, values) in zip(grid[:, 0], panels, strict=True):
        bars(axes, title, unit, values)
    path = folder / f"{name}.svg"
    sheet.savefig(path)
    plt.close(sheet)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Draw all there is."""
    arguments = sys.argv[1:] if argv is None else argv
    folder = Path(arguments[0]) if arguments else RESULTS / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PLOTS:
        if (path := draw(name, folder)) is not None:
            print(f"plot: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
