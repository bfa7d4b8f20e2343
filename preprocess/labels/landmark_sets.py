"""The faces whose landmarks train: those of LFW/Net's list, and those of every set whose labels have points.

LFW/Net's boxes are tight around the points, and landmarks are learned in them. Boxes of sets are of any kind, so each
set is measured (from_points.py): landmarks are learned in the square that lies in its boxes as LFW/Net's box would.
Where a face lacks points, the others are learned: a profile shows three of the five, and nets that never learn from it
learn that faces are frontal.
"""
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from config import MIN_TRUTH_SIZE, POINTS, POINTS_BOX
from detection import boxes as bx
from preprocess import labels
from preprocess.labels import AnnotatedImage, landmarks, sets
from preprocess.labels.from_points import MEASURED, measured


def training(data: Path) -> tuple[list[AnnotatedImage], dict[str, str]]:
    """Data folder -> all images whose landmarks train, each with the faces that have some, and {file or folder:
    fingerprint of what it says}. Prints what each source holds."""
    data, found = Path(data), {}
    if (data / landmarks.TRAIN_LIST).is_file():
        found[data / landmarks.TRAIN_LIST] = images = landmarks.read(data / landmarks.TRAIN_LIST, data)
        print(f"{data / landmarks.TRAIN_LIST}: {len(images)} images with one face and {len(POINTS)} points")
    for folder in sets.folders(data):
        images = with_points(sets.read_set(data, folder))
        if images:
            found[folder] = place(folder, images)
    return ([image for images in found.values() for image in images],
            {source.relative_to(data).as_posix(): labels.fingerprint(images, points=True)
             for source, images in found.items()})


def with_points(images: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """Images -> those with points, each with the faces alone that count and have some."""
    result = []
    for image in images:
        chosen = (np.isfinite(image.points).all(axis=2).any(axis=1) & ~image.invalid
                  & (bx.longer_side(image.boxes) >= MIN_TRUTH_SIZE))
        if chosen.any():
            result.append(replace(image, boxes=image.boxes[chosen], invalid=image.invalid[chosen],
                                  points=image.points[chosen]))
    return result


def place(folder: Path, images: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """Images of a set, as `with_points` gives them -> the same with the points_box of the set; prints it."""
    boxes, points = (np.concatenate([getattr(image, name) for image in images]) for name in ("boxes", "points"))
    whole = np.isfinite(points).all(axis=(1, 2)).sum()
    own = measured(boxes, points)
    side, below = own or POINTS_BOX
    source = "measured in this set" if own else \
        f"POINTS_BOX of config.py: measuring needs {MEASURED} faces with all five points of a face"
    print(f"{folder}: {len(boxes)} faces with landmarks in {len(images)} images, {whole} of them with all; they are "
          f"learned in a square of {side:g} times the longer side of the box, its center lower by {below:g} of it "
          f"({source})")
    return [replace(image, points_box=(side, below)) for image in images]
