"""CelebA: list_bbox_celeba.txt, and beside it list_landmarks_celeba.txt, which may lack. One face an image, px from 0.

Both begin with the number of images and a line of names of columns. Then `name x y w h`, the upper left corner and the
size, and `name x y` of the five points, left and right as seen. The points of an aligned copy of the images are in
another file, list_landmarks_align_celeba.txt, which does not fit the boxes.
"""
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from detection.align import require_facial_points
from detection.errors import UserError
from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import name_and_numbers, numbers, text_lines

FORM = Form("CelebA", "x y w h", one_face=True, in_row="x y")
LANDMARKS = "list_landmarks_celeba.txt"
HEADER = "image_id"     # begins the line of names of columns of the boxes


def entries(path: Path) -> Iterator[Saying]:
    """The images in the list of boxes. UserError where the list has another head."""
    lines = text_lines(path)
    head = list(islice(lines, 2))
    if len(head) < 2 or not head[0][1].isdigit() or not head[1][1].startswith(HEADER):
        raise UserError(f"{path}: does not begin like CelebA's list, with the number of images and a line "
                        f"`{HEADER} x_1 y_1 width height`")
    points = _points(path.with_name(LANDMARKS))
    for number, line in lines:
        name, values = name_and_numbers(line)
        yield number, attempt(_image, name, values, points, names=(name,))


def _points(path: Path) -> dict[str, str] | None:
    """Name of an image -> the numbers of its points, as text; None where there is no such list."""
    if not path.is_file():
        return None
    require_facial_points(str(path))
    rows = (line.split(maxsplit=1) for _, line in islice(text_lines(path), 2, None))
    return {name: "".join(values) for name, *values in rows}


def _image(name: str, values: str, points: dict[str, str] | None) -> Stated:
    box = numbers(values, 4)
    if points is not None and name not in points:
        raise BadLabel(f"{name} is not in {LANDMARKS}")
    found = None if points is None else np.reshape(numbers(points[name], 10), (1, 5, 2))
    return Stated((name,), [box], points=found)
