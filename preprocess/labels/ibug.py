"""iBUG's .pts (300-W, LFPW, HELEN, AFW): a file per face beside its image, of the same name, 68 points, px from 1.

`version: 1`, `n_points: 68` and the points `x y` a line in braces; some copies leave out all but the points. The five
points: the centers of the six points around each eye, the tip of the nose, the corners of the mouth. One face an image,
whose box follows from its points (from_points.py).
"""
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detection.align import require_facial_points
from detection.errors import UserError
from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers, text_lines

FORM = Form("iBUG's .pts", first=1, one_face=True, per_file=True)
COUNT = 68
FIVE = (slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55))      # counted from 0


def entries(path: Path) -> Iterator[Saying]:
    """The image of a file. UserError where POINTS are not the five of a face."""
    require_facial_points(str(path))
    yield path.name, attempt(_file, path)


def _file(path: Path) -> Stated:
    try:
        lines = [line for _, line in text_lines(path)]
    except UserError as error:
        raise BadLabel(str(error)) from None
    rows = [line for line in lines if line not in "{}" and ":" not in line]
    if len(rows) != COUNT:
        raise BadLabel(f"{len(rows)} points, where this form has {COUNT}")
    points = np.array([numbers(row, 2) for row in rows])
    return Stated((path.stem,), None, points=[[points[part].mean(axis=0) for part in FIVE]])
