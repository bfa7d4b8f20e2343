"""Lists of images with one face and its points: LFW/Net's, which trains, and MTFL's, which is measured on.

LFW/Net: `lfw_5590\\x.jpg LEFT RIGHT TOP BOTTOM x y ...`, the box, then x y of each of POINTS, px counted from 0.
MTFL: `AFLW/x.jpg x1 x2 x3 x4 x5 y1 y2 y3 y4 y5 gender smile glasses pose`, px counted from 1, without a box.
"""
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from config import POINTS
from preprocess.labels import AnnotatedImage, BadLabel, Form, Stated, attempt, mtfl
from preprocess.labels.checks import read_list
from preprocess.labels.reading import NUMBER, numbers, text_lines

FORM = Form("LFW/Net's list", "x1 x2 y1 y2", one_face=True, in_row="x y")
TRAIN_LIST, TEST_LIST, MTFL_LIST = "trainImageList.txt", "testImageList.txt", "testing.txt"


def read(path: Path, data: Path | None = None) -> Sequence[AnnotatedImage]:
    """LFW/Net's list -> images with one face each. UserError where it is unusable, or does not fit its images.

    data: the data folder; without it nothing is compared with the images.
    """
    return read_list(path, FORM, ((number, attempt(_line, line)) for number, line in text_lines(path)), "", data)


def read_mtfl(path: Path, data: Path | None = None) -> list[AnnotatedImage]:
    """MTFL's list -> images with one face each, whose box is that of its points, much tighter than a face's.

    data: as `read` takes it. UserError where the list is unusable, or POINTS are not the five of a face.
    """
    return [replace(image, boxes=np.hstack([image.points.min(axis=1), image.points.max(axis=1)]))
            for image in read_list(path, mtfl.FORM, mtfl.entries(path), "", data)]


def _line(line: str) -> Stated:
    count = 4 + 2 * len(POINTS)
    name, *values = line.rsplit(maxsplit=count)
    if len(values) == count and NUMBER.fullmatch(name.split()[-1]):
        raise BadLabel(f"more than {count} numbers, while config.py names {len(POINTS)} points")
    values = numbers(" ".join(values), count)
    return Stated((name,), [values[:4]], points=np.reshape(values[4:], (1, -1, 2)))
