"""Lists of images with one face and its points: LFW/Net's, which trains, and MTFL's, which is measured on.

LFW/Net: `lfw_5590\\x.jpg LEFT RIGHT TOP BOTTOM x y ...`, the box, then x y of each of POINTS, px counted from 0.
MTFL: `AFLW/x.jpg x1 x2 x3 x4 x5 y1 y2 y3 y4 y5 gender smile glasses pose`, px counted from 1, without a box.
"""
from pathlib import Path

import numpy as np

from config import POINTS
from detection.align import require_facial_points
from preprocess.labels import AnnotatedImage, BadLabel, annotate, attempt, collect
from preprocess.labels.reading import NUMBER, image_path, numbers, text_lines

TRAIN_LIST, TEST_LIST, MTFL_LIST = "trainImageList.txt", "testImageList.txt", "testing.txt"


def read(path: Path) -> list[AnnotatedImage]:
    """LFW/Net's list -> images with one face each. UserError where it is unusable."""
    return collect(path, ((number, attempt(_line, line)) for number, line in text_lines(path)))


def read_mtfl(path: Path) -> list[AnnotatedImage]:
    """MTFL's list -> images with one face each, whose box is that of its points, much tighter than a face's.

    UserError where the list is unusable, or POINTS are not the five of a face.
    """
    require_facial_points(path)
    return collect(path, ((number, attempt(_mtfl_line, line)) for number, line in text_lines(path)))


def _line(line: str) -> AnnotatedImage:
    count = 4 + 2 * len(POINTS)
    name, *values = line.rsplit(maxsplit=count)
    if len(values) == count and NUMBER.fullmatch(name.split()[-1]):
        raise BadLabel(f"more than {count} numbers, while config.py names {len(POINTS)} points")
    left, right, top, bottom, *points = numbers(" ".join(values), count)
    return annotate(image_path("", name), [[left, top, right, bottom]], points=np.reshape(points, (1, -1, 2)))


def _mtfl_line(line: str) -> AnnotatedImage:
    name, *values = line.rsplit(maxsplit=14)
    points = np.array(numbers(" ".join(values), 14)[:10], np.float32).reshape(2, 5).T - 1
    box = [*points.min(axis=0), *points.max(axis=0)]
    return annotate(image_path("", name), box, points=points[None])
