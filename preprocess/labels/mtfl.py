"""MTFL's training.txt: `name x1 x2 x3 x4 x5 y1 y2 y3 y4 y5 gender smile glasses pose`, px from 1, without a box.

One face an image, whose box follows from its points (from_points.py).
"""
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detection.align import require_facial_points
from preprocess.labels import Form, Saying, Stated, attempt
from preprocess.labels.reading import name_and_numbers, numbers, text_lines

FORM = Form("MTFL", first=1, one_face=True, in_row="x .. y ..")


def entries(path: Path) -> Iterator[Saying]:
    """The images in the list. UserError where POINTS are not the five of a face."""
    require_facial_points(str(path))
    for number, line in text_lines(path):
        name, values = name_and_numbers(line)
        yield number, attempt(_image, name, values, names=(name,))


def _image(name: str, values: str) -> Stated:
    return Stated((name,), None, points=np.reshape(numbers(values, 14)[:10], (1, 2, 5)).transpose(0, 2, 1))
