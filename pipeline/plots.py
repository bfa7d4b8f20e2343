"""Draws curves and bars: those of the benchmarks, and those of a training."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Axis = tuple[str, float | None, float | None]                  # label, lowest, highest; None follows from the lines
Lines = Mapping[str, tuple[np.ndarray, np.ndarray]]            # label -> x (N,), y (N,)
Panel = tuple[str, Axis, Axis, Lines]                          # title, x, y, lines


def draw(path: Path, title: str, x: Axis, y: Axis, lines: Lines) -> None:
    """Writes a PNG with one panel."""
    grid(path, [[(title, x, y, lines)]], (6, 4.5))


def grid(path: Path, rows: Sequence[Sequence[Panel]], panel: tuple[float, float] = (3.4, 2.6)) -> None:
    """Writes a PNG of panels, row by row, each of `panel` inches (width, height). Makes the folder."""
    from matplotlib.figure import Figure  # takes a second, and not every evaluator needs it

    columns = max(map(len, rows))
    figure = Figure(figsize=(panel[0] * columns, panel[1] * len(rows)), dpi=120, layout="constrained")
    for i, row in enumerate(rows):
        for j, (title, x, y, lines) in enumerate(row):
            axes = figure.add_subplot(len(rows), columns, i * columns + j + 1, title=title, xlabel=x[0], ylabel=y[0])
            for label, values in lines.items():
                axes.plot(*values, label=label, linewidth=2)
            axes.set(xlim=x[1:], ylim=y[1:])
            axes.grid(alpha=0.3)
            axes.legend()
    _save(figure, path, "curves")


def bars(path: Path, title: str, rows: Mapping[str, tuple[float, float, float]]) -> None:
    """Writes a PNG with one bar per row, label -> (value, lowest, highest) of 0..1, the first row on top; a line shows
    the range. Makes the folder."""
    from matplotlib.figure import Figure

    values, low, high = np.array(list(rows.values())).T
    figure = Figure(figsize=(7, 0.8 + 0.3 * len(rows)), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title, xlim=(0, 1))
    labels = [f"{label}  {value:.2f}" for label, (value, *_) in rows.items()]
    axes.barh(labels, values, xerr=(values - low, high - values), color="#4c78a8", ecolor="#333333", capsize=3)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    _save(figure, path, "plot")


def _save(figure, path, what):
    """Writes the figure, with its folder, and says where."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"{what}: {path}")
