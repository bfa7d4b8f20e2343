"""Draws the curves of the benchmarks."""
from pathlib import Path


def draw(path, title, x, y, lines):
    """Writes a PNG. x, y: (label, lowest, highest) of the axes. lines: {label: (x (N,), y (N,))}."""
    from matplotlib.figure import Figure     # takes a second, and not every evaluator needs it

    figure = Figure(figsize=(6, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x[0], ylabel=y[0], xlim=x[1:], ylim=y[1:])
    for label, values in lines.items():
        axes.plot(*values, label=label, linewidth=2)
    axes.grid(alpha=0.3)
    axes.legend()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"curves: {path}")
