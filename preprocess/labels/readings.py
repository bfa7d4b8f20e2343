"""How the four numbers of a box are meant: their layout, their unit, the number of the first pixel."""
from dataclasses import dataclass

import numpy as np

LAYOUTS = {         # the four numbers of a box -> corners
    "x1 y1 x2 y2": lambda rows: rows,
    "x y w h": lambda rows: np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:]]),
    "center w h": lambda rows: np.hstack([rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2]),
    "x1 x2 y1 y2": lambda rows: rows[:, [0, 2, 1, 3]],
    "y1 x1 y2 x2": lambda rows: rows[:, [1, 0, 3, 2]]}
UNITS = {"pixels": None, "shares": 1, "percent": 100}       # what the whole side of an image is


@dataclass(frozen=True)
class Reading:
    """How the numbers of a label file are meant. layout, unit: keys of LAYOUTS and UNITS. columns: all first numbers of
    the boxes of a line, then all second ones. first: as of Form."""
    layout: str
    unit: str
    columns: bool = False
    first: int = 0

    def __str__(self) -> str:
        each = f", pixels counted from {self.first}" if self.first else ""
        return f"`{self.layout}` in {self.unit}{each}" + (", column by column" if self.columns else "")


def corners(reading: Reading, rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Rows (N, 4) of a file, sizes (N, 2) or (2,) px -> corners (N, 4) px."""
    whole = UNITS[reading.unit]
    if whole is None:
        return LAYOUTS[reading.layout](np.float32(rows)) - np.float32([reading.first, reading.first, 0, 0])
    return LAYOUTS[reading.layout](rows) * np.tile(sizes / whole, 2)
