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

from preprocess.labels import AnnotatedImage, BadLabel, Form, Saying, Stated, attempt, celeba
from preprocess.labels.checks import read_list
from preprocess.labels.reading import NUMBER, is_image_name, numbers, text_lines

TRAIN_LISTS = ("wider_face_split/wider_face_train_bbx_gt.txt", "wider_face_train.txt")    # official, one-line
VAL_LISTS = ("wider_face_split/wider_face_val_bbx_gt.txt", "wider_face_val.txt")
TRAIN_IMAGES, VAL_IMAGES = "WIDER_train/images", "WIDER_val/images"
INVALID = 7     # column of the mark
OFFICIAL = Form("WIDER FACE's official list", "x y w h")
ONE_LINE = Form("a list of one image per line", flat=True)


def read(path: Path, images: str, data: Path | None = None) -> list[AnnotatedImage]:
    """A list of either form -> images. UserError where it is unusable, or does not fit its images.

    images: the folder of the images below the data folder, e.g. TRAIN_IMAGES. data: the data folder; without it the
    boxes are not compared with their images.
    """
    return read_list(path, *parse(path), images, data)


def parse(path: Path) -> tuple[Form, list[Saying]]:
    """A list -> its form, which its first lines show, and what it says of each image."""
    lines = text_lines(path)
    if len(lines) > 1 and _is_count(lines[0][1]) and lines[1][1].startswith(celeba.HEADER):
        lines = lines[2:]           # CelebA's number of images and names of columns
    first, second = ([text for _, text in lines[:2]] + ["", ""])[:2]
    if is_image_name(first) or _is_count(second):
        return OFFICIAL, list(_official(lines))
    return ONE_LINE, [(number, attempt(_line, line)) for number, line in lines]


def _official(lines: list[tuple[int, str]]) -> Iterator[Saying]:
    """After a broken entry, reading continues at the next line that looks like the name of an image."""
    i = 0
    while i < len(lines):
        first, name = lines[i]
        at = first      # the line that an error names
        i += 1
        try:
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
            faces = np.reshape(faces[:count], (-1, 10))
            lost = (faces[:, 2:4] <= 0).any(axis=1)     # the official list has faces beyond the image, of negative size
            yield first, Stated((name,), faces[:, :4], (faces[:, INVALID] != 0) | lost)
        except BadLabel as error:
            yield at, error
            while i < len(lines) and not is_image_name(lines[i][1]):
                i += 1


def _is_count(text):
    return text.isascii() and text.isdigit() and len(text) < 7


def _line(line: str) -> Stated:
    tokens = line.split()
    count = sum(1 for _ in takewhile(NUMBER.fullmatch, tokens[:0:-1]))
    name, values = line.rsplit(maxsplit=count)[0], tokens[len(tokens) - count:]
    if len(values) % 4:
        raise BadLabel(f"{len(values)} numbers are not a whole number of boxes x1 y1 x2 y2")
    return Stated((name if is_image_name(name) else name + ".jpg",), numbers(" ".join(values), len(values)))
