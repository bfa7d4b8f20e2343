"""MTFL's training.txt: `name x1 x2 x3 x4 x5 y1 y2 y3 y4 y5 gender smile glasses pose`, px from 1, without a box.

One face an image, whose box follows from its points (from_points.py).
"""
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detection.align import require_facial_points
from preprocess.labels import Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers, text_lines

FORM = Form("MTFL", first=1, one_face=True, in_row="x .. y ..")


def entries(path: Path) -> Iterator[Saying]:
    """The images in the list. UserError where POINTS are not the five of a face."""
    require_facial_points(str(path))
    for number, line in text_lines(path):
        yield number, attempt(_image, line)


def _image(line: str) -> Stated:
    name, *values = line.rsplit(maxsplit=14)
    return Stated((name,), None, points=np.reshape(numbers(" ".join(values), 14)[:10], (1, 2, 5)).transpose(0, 2, 1))
