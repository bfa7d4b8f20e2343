"""YOLO: a text file per image, a line `class x y w h` per box: center and size as shares of the image's sides.

With points, as Ultralytics pose and yolov5-face write them, `x y` or `x y visibility` of each of POINTS follow, as
shares too; a point of 0 0, of -1 -1 or of visibility 0 is not labeled.
"""
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from config import POINTS
from detection.errors import UserError
from detection.images import read
from preprocess.labels import AnnotatedImage, BadLabel, Entry, annotate, attempt
from preprocess.labels.reading import SetImages, numbers

NAMES = "classes.txt"     # beside the labels: the names of the classes, which no box needs


def entries(folder: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The text files below a folder, each with the name of its image, which is opened for its size."""
    paths = sorted(path for path in folder.rglob("*.txt") if path.name != NAMES)
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda path: attempt(_file, path, folder, images, classes), paths)
        yield from zip((path.relative_to(folder).as_posix() for path in paths), found)


def _file(path: Path, folder: Path, images: SetImages, classes: set[str] | None) -> AnnotatedImage:
    image = images.find(path.relative_to(folder).with_suffix("").as_posix())
    try:
        rows = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        rows = [_row(values[0] if values else "") for kind, *values in rows
                if classes is None or _class(kind) in classes]
        height, width = read(images.data / image).shape[:2]
    except (UserError, UnicodeDecodeError) as error:
        raise BadLabel(str(error)) from None
    values = [box for box, _ in rows]
    center, side = np.split(np.array(values, np.float32).reshape(-1, 4) * np.tile((width, height), 2), 2, axis=1)
    points = np.array([points for _, points in rows], np.float32).reshape(-1, len(POINTS), 2) * (width, height)
    return annotate(image, np.hstack([center - side / 2, center + side / 2]), points=points)


def _class(text: str) -> str:
    """The number of a class as set.json has it: 0 where a file has 0.0."""
    try:
        return f"{float(text):g}"
    except ValueError:
        raise BadLabel(f"`{text[:60]}` is not the number of a class") from None


def _row(text: str) -> tuple[list[float], np.ndarray]:
    """What follows the class -> center and size, points (P, 2), NaN where one is not labeled."""
    count = len(text.split())
    if count not in (4 + 2 * len(POINTS), 4 + 3 * len(POINTS)):
        return numbers(text, 4), np.full((len(POINTS), 2), np.nan)
    values = numbers(text, count)
    points = np.reshape(values[4:], (len(POINTS), -1))
    unlabeled = ((points[:, :2] == 0) | (points[:, :2] == -1)).all(axis=1) | (points[:, 2:] <= 0).any(axis=1)
    return values[:4], np.where(unlabeled[:, None], np.nan, points[:, :2])
