"""Label files of any form -> annotated images: the result that all readers share, and the checks of it.

A reader is a module with one form, which FORM describes. It yields entries (where, stated): `where` is a line number or
the name of a file, `stated` is what the file says of one image, or the BadLabel that says why that is nothing. What
only the whole file or set can show - units, corners or sizes, the order of points, classes - is decided in checks.py,
which makes annotated images of the entries; `collect` makes a list of these.
"""
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from config import POINTS
from detection import boxes as bx
from detection.errors import UserError
from pipeline.problems import Problems
from pipeline.tables import markdown
from preprocess.labels.packed import Packed
from preprocess.samples import require_below

FAR = 1e6       # px; no position in an image is as far from its corner
SAME = 0.5      # IoU from which two boxes of an image are one face, labeled twice
SIZES = 20, 40, 80, 160     # px: borders of the sizes of faces in a summary


@dataclass(frozen=True)
class AnnotatedImage:
    """One image with its faces.

    path: below the data folder, with slashes. boxes: float32 (N, 4) x1 y1 x2 y2 px, right and bottom edge exclusive.
    invalid: bool (N,), faces that are neither truth nor background. points: float32 (N, P, 2) px, in the order of
    POINTS, NaN where a point is not labeled. complete: every face in the image has a box, so the rest is background.
    points_box: the square in which the points are learned, as `boxes.inner` takes it; None: the box's own.
    """
    path: str
    boxes: np.ndarray
    invalid: np.ndarray
    points: np.ndarray
    complete: bool = True
    points_box: tuple[float, float] | None = None


class BadLabel(ValueError):
    """A label that cannot be used; the text says why. kind: the same in a few words, to count by. names: of its image,
    as in Stated, where they are known: an image whose label is bad is not one without a label."""

    def __init__(self, text: str, kind: str = "not in this form"):
        super().__init__(text)
        self.kind, self.names = kind, ()


@dataclass(frozen=True)
class Form:
    """What a form of label files promises, in the words of checks.py.

    name: for people. layout: of the four numbers of a box. unit: of boxes and points. first: the number of the first
    pixel that upper left corners and points count from. one_face: it labels one face an image, whatever else is in it.
    flat: a line holds all boxes of an image, one after the other. in_row: the order of a face's points where they are
    2P numbers in a row, "x y" (of each) or "x .. y .." (all x first). per_file: a file for each image, named after it.
    """
    name: str
    layout: str = "x1 y1 x2 y2"
    unit: str = "pixels"
    first: int = 0
    one_face: bool = False
    flat: bool = False
    in_row: str = ""
    per_file: bool = False


@dataclass(frozen=True)
class Stated:
    """What a label file says of one image, as it says it.

    names: of the image; the first one that fits counts. boxes: (N, 4) in the form's layout and unit; None where they
    follow from the points. invalid: N marks, none by default. points: (N, P, 2) in the unit, NaN where one is missing;
    None: all are. classes: N names; None: the form has none. size: width and height that the file states, px.
    """
    names: tuple[str, ...]
    boxes: Sequence | np.ndarray | None
    invalid: Sequence[bool] | np.ndarray | None = None
    points: Sequence | np.ndarray | None = None
    classes: Sequence[str] | None = None
    size: tuple[object, object] | None = None


Saying = tuple[int | str, Stated | BadLabel]
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


def attempt(read: Callable, *args, names: tuple[str, ...] = ()):
    """read(*args), or the BadLabel that it raises: the second half of an entry. names: those of its image, as far as
    they are known before."""
    try:
        return read(*args)
    except BadLabel as error:
        error.names = names
        return error


def collect(source: Path, entries: Iterable[Entry], skipped: Counter | None = None, one_face: bool = False
            ) -> Sequence[AnnotatedImage]:
    """Entries of a file or folder -> images, each path once. Prints what is skipped, with its place, and counts it by
    kind in `skipped`. one_face: an entry is a face, so another face of the same image joins it.

    UserError where too many entries are skipped (pipeline/problems.py) or no face is left.
    """
    images, problems, places, numbers = [] if one_face else Packed(), Problems(), Packed(), {}
    skipped = Counter() if skipped is None else skipped
    total = 0
    for where, entry in entries:
        total += 1
        if isinstance(entry, BadLabel):
            problems.add(f"{source}:{where}: {entry}")
            skipped[entry.kind] += 1
            continue
        number = numbers.setdefault(hash(entry.path), len(images))      # the paths would take more than the images
        if number == len(images) or images[number].path != entry.path:
            places.append(where)
            images.append(entry)
        elif one_face and (bx.iou(images[number].boxes, entry.boxes) < SAME).all():
            images[number] = _joined(images[number], entry)
        else:
            problems.add(f"{source}:{where}: {entry.path} is listed a second time, first at {source}:{places[number]}")
            skipped["listed a second time"] += 1
    problems.report(total, "entries", source)
    if not any(len(image.boxes) for image in images):
        raise UserError(f"{source}: there is not one face in it; check that it is the right file")
    return images


def _joined(a: AnnotatedImage, b: AnnotatedImage) -> AnnotatedImage:
    """One image with the faces of both."""
    return replace(a, **{name: np.concatenate([getattr(a, name), getattr(b, name)])
                         for name in ("boxes", "invalid", "points")})


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


def summary(images: Iterable[AnnotatedImage], min_size: float, first: Iterable[tuple[str, object]] = (),
            classes: Counter | None = None, skipped: Counter | None = None, left_out: Counter | None = None) -> str:
    """A table of images, faces, their classes, sizes and points, and of what was skipped or left out.

    min_size: as `split` takes it. first: rows before the others. The others: numbers by what they are of.
    """
    count, sides = Counter(), array("f")
    for image in images:
        sides.frombytes(bx.longer_side(image.boxes[~image.invalid]).astype(np.float32).tobytes())
        known = np.isfinite(image.points)
        count.update({"images": 1, "empty": not len(image.boxes), "faces": len(image.boxes),
                      "incomplete": not image.complete, "invalid": int(image.invalid.sum()),
                      "every": int(known.all(axis=(1, 2)).sum()), "some": int(known.any(axis=(1, 2)).sum())})
    rows = [*first, ("images", count["images"]), ("... without a face", count["empty"]), ("faces", count["faces"])]
    rows += [("images that need not show all faces", count["incomplete"])] * bool(count["incomplete"])
    rows += [(f"boxes of the class {name}", number) for name, number in (classes or Counter()).most_common()]
    rows += [("faces marked invalid", count["invalid"])]
    borders = [0, min_size, *(size for size in SIZES if size > min_size), np.inf]
    names = [f"under {min_size:g} px, not used",
             *(f"{low:g} px and more" if high == np.inf else f"{low:g} to {high:g} px"
               for low, high in zip(borders[1:], borders[2:]))]
    rows += [(f"faces {name}", int(number)) for name, number in zip(names, np.histogram(sides, borders)[0])]
    rows += [("faces with all landmarks", count["every"]),
             ("faces with only some landmarks", count["some"] - count["every"])] * bool(count["some"])
    rows += [(f"skipped, {what}", count) for what, count in (skipped or Counter()).most_common()]
    rows += [(f"not used, {what}", count) for what, count in (left_out or Counter()).most_common()]
    return markdown(("", "number"), rows)


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


