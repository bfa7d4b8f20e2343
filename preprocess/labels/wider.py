"""WIDER FACE's boxes, in the official form or with one image per line.

Official: the image's name, the number of its faces, and a line for each face

    x y w h blur expression illumination invalid occlusion pose

with the upper left corner and the size in px. An image without a face has the count 0 and mostly one line of zeros.
One line: `<name> x1 y1 x2 y2 [x1 y1 x2 y2 ...]`; the name may hold blanks, and may lack its .jpg where its
last word does not begin like a number.
"""
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from preprocess.labels import AnnotatedImage, BadLabel, Form, Saying, Stated, attempt, celeba
from preprocess.labels.checks import read_list
from preprocess.labels.reading import NUMBER, is_image_name, name_and_numbers, numbers, text_lines

TRAIN_LISTS = ("wider_face_split/wider_face_train_bbx_gt.txt", "wider_face_train.txt")    # official, one-line
VAL_LISTS = ("wider_face_split/wider_face_val_bbx_gt.txt", "wider_face_val.txt")
TRAIN_IMAGES, VAL_IMAGES = "WIDER_train/images", "WIDER_val/images"
INVALID = 7     # column of the mark
OFFICIAL = Form("WIDER FACE's official list", "x y w h")
ONE_LINE = Form("a list of one image per line", flat=True)


def read(path: Path, images: str, data: Path | None = None) -> Sequence[AnnotatedImage]:
    """A list of either form -> images. UserError where it is unusable, or does not fit its images.

    images: the folder of the images below the data folder, e.g. TRAIN_IMAGES. data: the data folder; without it the
    boxes are not compared with their images.
    """
    return read_list(path, *parse(path), images, data)


def parse(path: Path) -> tuple[Form, Iterator[Saying]]:
    """A list -> its form, which its first lines show, and what it says of each image."""
    head = [text for _, text in islice(text_lines(path), 4)]
    skipped = 2 * (len(head) > 1 and _is_count(head[0]) and head[1].startswith(celeba.HEADER))
    first, second = (head[skipped:] + ["", ""])[:2]     # after CelebA's number of images and names of columns
    if is_image_name(first):        # alone in its line, as in the official form, or without a face
        second = next((text for _, text in islice(text_lines(path), skipped, None) if not is_image_name(text)), "")
        official = not _is_one_line(second)
    else:
        official = _is_count(second)
    form, entries = (OFFICIAL, _official) if official else (ONE_LINE, _one_line)
    return form, entries(islice(text_lines(path), skipped, None))


def _one_line(lines: Iterator[tuple[int, str]]) -> Iterator[Saying]:
    for number, line in lines:
        name, values = name_and_numbers(line)
        yield number, attempt(_line, name, values, names=(name,))


def _official(lines: Iterator[tuple[int, str]]) -> Iterator[Saying]:
    """After a broken entry, reading continues at the next line that looks like the name of an image."""
    line = next(lines, None)
    while line is not None:
        first, name = line
        at = first      # the line that an error names
        line = next(lines, None)
        try:
            if line is None or not _is_count(line[1]):
                raise BadLabel(f"after the image {name} the number of its faces is expected")
            count, faces = int(line[1]), []
            line = next(lines, None)
            for _ in range(max(count, 1)):                          # one line of zeros stands for no face
                if line is None or is_image_name(line[1]):          # some copies leave that line out
                    break
                at, row = line
                line = next(lines, None)
                faces.append(numbers(row, 10))
            at = first
            if len(faces) < count:
                raise BadLabel(f"{count} faces of {name} are announced, {len(faces)} follow")
            faces = np.reshape(faces[:count], (-1, 10))
            lost = (faces[:, 2:4] <= 0).any(axis=1)     # the official list has faces beyond the image, of negative size
            yield first, Stated((name,), faces[:, :4], (faces[:, INVALID] != 0) | lost)
        except BadLabel as error:
            error.names = (name,)
            yield at, error
            while line is not None and not is_image_name(line[1]):
                line = next(lines, None)


def _is_count(text):
    return text.isascii() and text.isdigit() and len(text) < 7


def _is_one_line(text: str) -> bool:
    """Whether a line holds a name and boxes."""
    name, values = name_and_numbers(text)
    return bool(values) and not NUMBER.fullmatch(name)


def _line(name: str, values: str) -> Stated:
    count = len(values.split())
    if count % 4:
        raise BadLabel(f"{count} numbers are not a whole number of boxes x1 y1 x2 y2")
    return Stated((name if is_image_name(name) else name + ".jpg",), numbers(values, count))
