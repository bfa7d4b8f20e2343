"""Tables of results as Markdown, the form in which scripts print them and pages hold them."""
from collections.abc import Iterable, Sequence

import numpy as np


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]], decimals: int = 3) -> str:
    """Column names, rows of as many cells -> the table's text, without a line break at its end.

    The first column is text on the left, the others stand on the right. A float has that many decimals, NaN is "-";
    other cells are written as str() gives them. ValueError for a row of another length.
    """
    lines = [list(header), ["---", *["---:"] * (len(header) - 1)]]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells under {len(header)} column names: {list(row)}")
        lines.append([_cell(value, decimals) for value in row])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value, decimals):
    if isinstance(value, (float, np.floating)):
        return "-" if np.isnan(value) else f"{value:.{decimals}f}"
    return str(value).replace("|", "\\|")
