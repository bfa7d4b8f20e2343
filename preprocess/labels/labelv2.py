"""labelv2, the list of SCRFD and YuNet: a line `# name width height` per image, then a line per face, px from 0.

    x1 y1 x2 y2  x y flag  x y flag  x y flag  x y flag  x y flag

Three -1 stand for a point without a label. The list for measuring has only the box; a fifth number of 1 says that the
face does not count.
"""
from collections.abc import Iterator
from pathlib import Path

from preprocess.labels import AnnotatedImage, BadLabel, Entry, annotate, attempt
from preprocess.labels.reading import SetImages
from preprocess.labels.retinaface import blocks, faces

COLUMNS = (4, 5, 19, 20)    # of a face: the box, with its mark, with points, with points and a further number


def entries(path: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The images that the list names. The form has no classes. UserError where POINTS are not the five of a face."""
    for number, head, rows in blocks(path):
        yield number, attempt(_image, images, head, rows)


def _image(images: SetImages, head: str, rows: list[str]) -> AnnotatedImage:
    name, *size = head.rsplit(maxsplit=2)
    if len(size) != 2 or not all(side.isdigit() for side in size):
        raise BadLabel("a line `# name width height` of the image is expected here")
    boxes, points = faces(rows, COLUMNS)
    return annotate(images.find(name), boxes, [len(row.split()) == 5 and float(row.split()[4]) == 1 for row in rows],
                    points)
