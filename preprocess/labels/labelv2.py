"""labelv2, the list of SCRFD and YuNet: a line `# name width height` per image, then a line per face, px from 0.

    x1 y1 x2 y2  x y flag  x y flag  x y flag  x y flag  x y flag

Three -1 stand for a point without a label. The list for measuring has only the box; a fifth number of 1 says that the
face does not count.
"""
from collections.abc import Iterator
from pathlib import Path

from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import name_and_numbers
from preprocess.labels.retinaface import blocks, faces

FORM = Form("labelv2")
COLUMNS = (4, 5, 19, 20)    # of a face: the box, with its mark, with points, with points and a further number


def entries(path: Path) -> Iterator[Saying]:
    """The images that the list names. UserError where POINTS are not the five of a face."""
    for number, head, rows in blocks(path):
        name, size = name_and_numbers(head)
        yield number, attempt(_image, name, size.split(), rows, names=(name,))


def _image(name: str, size: list[str], rows: list[str]) -> Stated:
    if len(size) != 2 or not all(side.isdigit() for side in size):
        raise BadLabel("a line `# name width height` of the image is expected here")
    boxes, points = faces(rows, COLUMNS)
    marks = [len(row.split()) == 5 and float(row.split()[4]) == 1 for row in rows]
    return Stated((name,), boxes, marks, points, size=size)
