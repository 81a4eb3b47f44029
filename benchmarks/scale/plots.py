"""Plots of a run: one SVG for each scene that has curves."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

from benchmarks.scale.world import Outcomes


def draw(found: Mapping[str, Outcomes], folder: Path) -> list[Path]:
    """Draw each scene's curves over virtual seconds into `scale-NAME.svg`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    mpl.rcParams["svg.hashsalt"] = "scale"  # equal runs give equal files
    for name, scene in found.items():
        if not scene.curves:
            continue
        sheet, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
        for curve in scene.curves:
            axes.plot(curve.seconds, curve.values, label=curve.name, linewidth=1.4)
        axes.set_title(scene.title, loc="left")
        axes.set_xlabel("seconds")
        axes.set_ylabel(scene.unit)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize="small")
        axes.spines[["top", "right"]].set_visible(False)
        path = folder / f"scale-{name}.svg"
        sheet.savefig(path, metadata={"Date": None})
        plt.close(sheet)
        drawn.append(path)
    return drawn
