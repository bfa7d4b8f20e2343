"""YOLO: a text file per image, a line `class x y w h` per box: center and size as shares of the image's sides."""
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

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
        values = [numbers(values[0] if values else "", 4) for kind, *values in rows
                  if classes is None or kind in classes]
        height, width = read(images.data / image).shape[:2]
    except (UserError, UnicodeDecodeError) as error:
        raise BadLabel(str(error)) from None
    center, side = np.split(np.array(values, np.float32).reshape(-1, 4) * np.tile((width, height), 2), 2, axis=1)
    return annotate(image, np.hstack([center - side / 2, center + side / 2]))
