"""WIDER FACE's boxes, in the official form or with one image per line.

Official: the image's name, the number of its faces, and a line for each face

    x y w h blur expression illumination invalid occlusion pose

with the upper left corner and the size in px. An image without a face has the count 0 and mostly one line of zeros.
One line: `<name> x1 y1 x2 y2 [x1 y1 x2 y2 ...]`; the name may lack its .jpg and may hold blanks.
"""
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np

from preprocess.labels import AnnotatedImage, BadLabel, Entry, annotate, attempt, collect
from preprocess.labels.reading import NUMBER, image_path, is_image_name, numbers, text_lines

TRAIN_LISTS = ("wider_face_split/wider_face_train_bbx_gt.txt", "wider_face_train.txt")    # official, one-line
VAL_LISTS = ("wider_face_split/wider_face_val_bbx_gt.txt", "wider_face_val.txt")
TRAIN_IMAGES, VAL_IMAGES = "WIDER_train/images", "WIDER_val/images"
INVALID = 7     # column of the mark


def read(path: Path, images: str) -> list[AnnotatedImage]:
    """A list of either form, which its first two lines show -> images. UserError where it is unusable.

    images: the folder of the images below the data folder, e.g. TRAIN_IMAGES.
    """
    lines = text_lines(path)
    first, second = ([text for _, text in lines[:2]] + ["", ""])[:2]
    entries = _official if is_image_name(first) or _is_count(second) else _one_line
    return collect(path, entries(lines, images))


def _official(lines: list[tuple[int, str]], images: str) -> Iterator[Entry]:
    """After a broken entry, reading continues at the next line that looks like the name of an image."""
    i = 0
    while i < len(lines):
        first, name = lines[i]
        at = first      # the line that an error names
        i += 1
        try:
            path = image_path(images, name)
            if i >= len(lines) or not _is_count(lines[i][1]):
                raise BadLabel(f"after the image {name} the number of its faces is expected")
            count = int(lines[i][1])
            rows = lines[i + 1:i + 1 + max(count, 1)]
            if count == 0 and rows and is_image_name(rows[0][1]):
                rows = []    # some copies leave the line of zeros out
            i += 1
            faces = []
            for _, row in takewhile(lambda line: not is_image_name(line[1]), rows):
                at, i = lines[i][0], i + 1
                faces.append(numbers(row, 10))
            at = first
            if len(faces) < count:
                raise BadLabel(f"{count} faces of {name} are announced, {len(faces)} follow")
            faces = np.array(faces[:count], np.float32).reshape(-1, 10)
            corner, side = faces[:, :2], faces[:, 2:4]
            lost = (side <= 0).any(axis=1)      # the official list has faces beyond the image, of no or negative size
            yield first, annotate(path, np.hstack([corner, corner + side]), (faces[:, INVALID] != 0) | lost)
        except BadLabel as error:
            yield at, error
            while i < len(lines) and not is_image_name(lines[i][1]):
                i += 1


def _is_count(text):
    return text.isascii() and text.isdigit() and len(text) < 7


def _one_line(lines: list[tuple[int, str]], images: str) -> Iterator[Entry]:
    for number, line in lines:
        yield number, attempt(_line, line, images)


def _line(line: str, images: str) -> AnnotatedImage:
    tokens = line.split()
    count = sum(1 for _ in takewhile(NUMBER.fullmatch, tokens[:0:-1]))
    name, values = line.rsplit(maxsplit=count)[0], tokens[len(tokens) - count:]
    if len(values) % 4:
        raise BadLabel(f"{len(values)} numbers are not a whole number of boxes x1 y1 x2 y2")
    return annotate(image_path(images, name if is_image_name(name) else name + ".jpg"),
                    numbers(" ".join(values), len(values)))
