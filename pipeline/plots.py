"""Draws curves: of the benchmarks, and of a training."""
from pathlib import Path


def draw(path, title, x, y, lines):
    """Writes a PNG with one panel, as `grid` takes it."""
    grid(path, [[(title, x, y, lines)]], (6, 4.5))


def grid(path, rows, panel=(3.4, 2.6)):
    """Writes a PNG of panels, row by row, each of `panel` inches.

    A panel is (title, x, y, lines). x, y: (label, lowest, highest) of the axes, None for a bound that follows from the
    lines. lines: {label: (x (N,), y (N,))}.
    """
    from matplotlib.figure import Figure     # takes a second, and not every evaluator needs it

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
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"curves: {path}")
