"""MTFL's training.txt: `name x1 x2 x3 x4 x5 y1 y2 y3 y4 y5 gender smile glasses pose`, px from 1, without a box.

One face an image, whose box follows from its points (from_points.py).
"""
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detection.align import require_facial_points
from preprocess.labels import AnnotatedImage, Entry, annotate, attempt
from preprocess.labels.from_points import face_box
from preprocess.labels.reading import SetImages, numbers, text_lines


def entries(path: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The images in the list. The form has no classes. UserError where POINTS are not the five of a face."""
    require_facial_points(str(path))
    for number, line in text_lines(path):
        yield number, attempt(_image, images, line)


def _image(images: SetImages, line: str) -> AnnotatedImage:
    name, *values = line.rsplit(maxsplit=14)
    points = np.array(numbers(" ".join(values), 14)[:10], np.float32).reshape(1, 2, 5).transpose(0, 2, 1) - 1
    return annotate(images.find(name.replace("\\", "/")), face_box(points), points=points)
