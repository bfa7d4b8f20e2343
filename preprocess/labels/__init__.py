"""Label files of any form -> annotated images: the result that all readers share, and the checks of it.

A reader is a module with one form. It yields entries (where, image): `where` is a line number or the name of a file,
`image` comes from `annotate`, or is the BadLabel that says why there is none. `collect` makes a list of them.
"""
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from config import POINTS
from detection import boxes as bx
from detection.errors import UserError
from pipeline.problems import Problems
from preprocess.samples import require_below

FAR = 1e6       # px; no position in an image is as far from its corner


@dataclass(frozen=True)
class AnnotatedImage:
    """One image with its faces.

    path: below the data folder, with slashes. boxes: float32 (N, 4) x1 y1 x2 y2 px, right and bottom edge exclusive.
    invalid: bool (N,), faces that are neither truth nor background. points: float32 (N, P, 2) px, in the order of
    POINTS, NaN where a point is not labeled. complete: every face in the image has a box, so the rest is background.
    points_box: the square in which the points are learned, as `boxes.inner` takes it; None: the box itself.
    """
    path: str
    boxes: np.ndarray
    invalid: np.ndarray
    points: np.ndarray
    complete: bool = True
    points_box: tuple[float, float] | None = None


class BadLabel(ValueError):
    """A label that cannot be used; the text says why."""


Entry = tuple[int | str, AnnotatedImage | BadLabel]


def annotate(path: str, boxes: Sequence | np.ndarray, invalid: Sequence[bool] | np.ndarray | None = None,
             points: Sequence | np.ndarray | None = None) -> AnnotatedImage:
    """What a label file says of one image -> AnnotatedImage. Here every path, box and point is checked.

    boxes: N rows x1 y1 x2 y2, px. invalid: N marks, none by default. points: N rows of P points x y, px, NaN where one
    is missing; all are missing by default. A box of no width or height counts as invalid. BadLabel where the path
    leaves the data folder, a box that is not marked ends before it begins, a number cannot be a position, there are
    other points than POINTS, or a face with points has no area.
    """
    try:
        require_below(path)
    except ValueError as error:
        raise BadLabel(str(error)) from None
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    marked = np.zeros(len(boxes), bool) if invalid is None else np.asarray(invalid, bool).reshape(-1)
    empty = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    if points is None:
        points = np.full((len(boxes), len(POINTS), 2), np.nan, np.float32)
    points = np.asarray(points, np.float32)
    if not (np.abs(boxes) < 2 * FAR).all() or (np.abs(points) >= FAR).any():       # NaN in a box is no position either
        raise BadLabel("a box or a point holds a number that cannot be a position")
    if len(marked) != len(boxes) or points.shape != (len(boxes), len(POINTS), 2):
        raise BadLabel(f"{len(boxes)} boxes, {len(marked)} marks and points of shape {points.shape} do not fit "
                       f"together; config.py names {len(POINTS)} points")
    swapped = (boxes[:, 2:] < boxes[:, :2]).any(axis=1) & ~marked
    if swapped.any():
        raise BadLabel(f"the box x1 y1 x2 y2 = {_text(boxes[swapped][0])} ends before it begins; check whether these "
                       "are corners, or a corner with width and height")
    bad = empty & np.isfinite(points).any(axis=(1, 2))
    if bad.any():
        raise BadLabel(f"the box x1 y1 x2 y2 = {_text(boxes[bad][0])} has no area")
    return AnnotatedImage(path, boxes, marked | empty, points)


def attempt(read: Callable[..., AnnotatedImage], *args) -> AnnotatedImage | BadLabel:
    """read(*args), or the BadLabel that it raises: the second half of an entry."""
    try:
        return read(*args)
    except BadLabel as error:
        return error


def collect(source: Path, entries: Iterable[Entry]) -> list[AnnotatedImage]:
    """Entries of a file or folder -> images, each path once. Prints what is skipped, with its place.

    UserError where too many entries are skipped (pipeline/problems.py) or no face is left.
    """
    images, problems, places = [], Problems(), {}
    total = 0
    for where, entry in entries:
        total += 1
        if isinstance(entry, BadLabel):
            problems.add(f"{source}:{where}: {entry}")
        elif entry.path in places:
            problems.add(f"{source}:{where}: {entry.path} is listed a second time, first at {source}:"
                         f"{places[entry.path]}")
        else:
            places[entry.path] = where
            images.append(entry)
    problems.report(total, "entries", source)
    if not any(len(image.boxes) for image in images):
        raise UserError(f"{source}: there is not one face in it; check that it is the right file")
    return images


def find(data: Path, *candidates: str) -> Path:
    """The first of these files that exists below `data`; UserError with all names where none does."""
    for candidate in candidates:
        if (Path(data) / candidate).is_file():
            return Path(data) / candidate
    raise UserError(f"{data}: holds none of {', '.join(candidates)}; data/README.md says what to put where, "
                    "and `python data/make_sample.py` renders a sample to try")


def require_inside(image: AnnotatedImage, width: int, height: int) -> None:
    """UserError where a face that counts has its center outside the image, px, or is far larger than the image: then
    the image is not the one that was annotated, or its boxes have another form."""
    boxes = image.boxes[~image.invalid]
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    bad = ((center < 0) | (center > (width, height))).any(axis=1) | (bx.longer_side(boxes) > 2 * max(width, height))
    if bad.any():
        raise UserError(f"{image.path}: the face x1 y1 x2 y2 = {_text(boxes[bad][0])} does not lie in this image of "
                        f"{width} x {height} px; check the image and the form of the boxes")


def split(image: AnnotatedImage, min_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Image -> boxes of true faces (M, 4), of faces that do not count (K, 4): invalid ones, and those whose longer side
    is under `min_size` px."""
    true = ~image.invalid & (bx.longer_side(image.boxes) >= min_size)
    return image.boxes[true], image.boxes[~true]


def summary(images: Iterable[AnnotatedImage], min_size: float) -> str:
    """One line with the numbers of images and of faces of each kind; min_size: as `split` takes it."""
    counts = Counter()
    for image in images:
        counts.update(images=1, faces=len(image.boxes), invalid=int(image.invalid.sum()),
                      usable=len(split(image, min_size)[0]), empty=int(len(image.boxes) == 0),
                      landmarks=int(np.isfinite(image.points).any(axis=(1, 2)).sum()),
                      all_landmarks=int(np.isfinite(image.points).all(axis=(1, 2)).sum()))
    landmarks = (f"; {counts['landmarks']} with landmarks, {counts['all_landmarks']} of them with all"
                 if counts["landmarks"] else "")
    return (f"{counts['images']} images ({counts['empty']} without a face), {counts['faces']} faces: "
            f"{counts['usable']} usable, {counts['invalid']} marked invalid, the others under {min_size} px"
            f"{landmarks}")


def fingerprint(images: Iterable[AnnotatedImage], points: bool = False) -> str:
    """Hex digest (32 characters) of all paths and boxes, with `points` also of these: two label files with the same
    digest train the same."""
    digest = blake2b(digest_size=16)
    for image in images:
        digest.update(f"{image.path}\n{image.complete}\n".encode())
        digest.update(image.boxes.tobytes() + image.invalid.tobytes())
        if points:
            digest.update(image.points.tobytes() + str(image.points_box).encode())
    return digest.hexdigest()


def _text(box: np.ndarray) -> str:
    return " ".join(f"{value:g}" for value in box)


