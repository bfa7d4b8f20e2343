"""RetinaFace's label.txt: a line `# name` per image, then a line per face, px counted from 0.

    x y w h  x y flag  x y flag  x y flag  x y flag  x y flag  score

The five points follow the upper left corner and the size of the box; three -1 stand for a point without a label. The
list for measuring has only the box.
"""
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detection.align import require_facial_points
from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers, text_lines

FORM = Form("RetinaFace's list", "x y w h")
COLUMNS = (4, 20, 21)       # of a face: the box alone, with points, with points and a further number


def entries(path: Path) -> Iterator[Saying]:
    """The images that the list names. UserError where POINTS are not the five of a face."""
    for number, name, rows in blocks(path):
        yield number, attempt(_image, name, rows, names=(name,))


def blocks(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Lines of a list -> (line number, what follows the #, lines of its faces) of each image. A line of a face before
    the first # comes as an image without a name. UserError where POINTS are not the five of a face."""
    require_facial_points(str(path))
    block = None
    for number, line in text_lines(path):
        if line.startswith("#"):
            if block:
                yield block
            block = number, line[1:].strip(), []
        else:
            block = block or (number, "", [])
            block[2].append(line)
    if block:
        yield block


def faces(rows: list[str], columns: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Lines of faces, as long as one of `columns` -> their first four numbers (N, 4), points (N, 5, 2), NaN where one
    is missing. BadLabel where a line is of another length."""
    boxes, points = np.zeros((len(rows), 4), np.float32), np.full((len(rows), 5, 2), np.nan, np.float32)
    for i, row in enumerate(rows):
        count = len(row.split())
        if count not in columns:
            raise BadLabel(f"`{row[:60]}` has {count} numbers, where a face has {' or '.join(map(str, columns))}")
        values = numbers(row, count)
        boxes[i] = values[:4]
        if count >= 19:
            points[i] = triples(values[4:19])
    return boxes, points


def triples(values: list[float]) -> np.ndarray:
    """x y flag of each point -> (P, 2), px, NaN where all three are -1: the point is not labeled."""
    rows = np.reshape(values, (-1, 3)).astype(np.float32)
    return np.where((rows == -1).all(axis=1, keepdims=True), np.nan, rows[:, :2])


def _image(name: str, rows: list[str]) -> Stated:
    if not name:
        raise BadLabel("a line `# name` of the image is expected here")
    boxes, points = faces(rows, COLUMNS)
    return Stated((name,), boxes, points=points)
