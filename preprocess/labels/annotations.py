"""Annotation files as they are published -> photos with boxes and points.

WIDER FACE's official list and its one-line form, and the landmark lists of LFW, Net and MTFL. What does not parse is
skipped, named with file and line, and counted; too much of it, or nothing left, is an error.
"""
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import numpy as np

from config import BAD_SHARE, POINTS
from detection import boxes as bx
from detection.align import require_facial_points
from detection.errors import UserError
from preprocess.samples import require_below


WIDER_TRAIN = ("wider_face_split/wider_face_train_bbx_gt.txt", "wider_face_train.txt")    # official, one-line
WIDER_VAL = ("wider_face_split/wider_face_val_bbx_gt.txt", "wider_face_val.txt")
WIDER_TRAIN_IMAGES, WIDER_VAL_IMAGES = "WIDER_train/images", "WIDER_val/images"
LANDMARK_TRAIN, LANDMARK_TEST, MTFL_TEST = "trainImageList.txt", "testImageList.txt", "testing.txt"


@dataclass(frozen=True)
class Photo:
    """One annotated photo. path: below the data folder. boxes (N, 4) px; invalid (N,) bool: neither truth nor
    background; points (N, P, 2) px, or (0, P, 2) where there are none; complete: every face in it has a box, so that
    the rest is background."""
    path: str
    boxes: np.ndarray
    invalid: np.ndarray
    points: np.ndarray = field(default_factory=lambda: bx.empty(0, len(POINTS), 2))
    complete: bool = True


@dataclass
class Problems:
    """What was skipped and why: up to ten examples, and how many there were in all."""
    examples: list = field(default_factory=list)
    count: int = 0

    def add(self, message):
        self.count += 1
        if len(self.examples) < 10:
            self.examples.append(message.encode("utf-8", "backslashreplace").decode())     # names need not be UTF-8

    def extend(self, other):
        self.examples = (self.examples + other.examples)[:10]
        self.count += other.count

    def report(self, total, what, source, incomplete=()):
        """Prints what was skipped; UserError when it is more than BAD_SHARE of `total`, or all of it.

        Then the files `incomplete`, parts that lack something, are removed: the next run does them again.
        """
        try:
            self._report(total, what, source)
        except UserError:
            for path in incomplete:
                path.unlink()
            raise

    def _report(self, total, what, source):
        for message in self.examples:
            print(f"skipped: {message}")
        if self.count > len(self.examples):
            print(f"skipped: ... and {self.count - len(self.examples)} more")
        if total == 0 or self.count == total:
            raise UserError(f"{source}: no usable {what} in it{self._first()}; check that it is the right file and "
                            "that the photos lie beside it as data/README.md says")
        if self.count > BAD_SHARE * total:
            raise UserError(f"{source}: {self.count} of {total} {what} cannot be used{self._first()}; that is more "
                            f"than {BAD_SHARE:.0%}, so the data set is probably incomplete: mend it and run again")

    def _first(self):
        return f" (first: {self.examples[0]})" if self.examples else ""


class BadLine(ValueError):
    """A line that does not parse; the text says why."""


def find(data, *candidates):
    """The first of these files that is there below `data`; UserError naming all when there is none."""
    for candidate in candidates:
        if (Path(data) / candidate).is_file():
            return Path(data) / candidate
    raise UserError(f"{data}: none of {', '.join(candidates)} is there; data/README.md says what to put where, "
                    "and `python data/make_sample.py` draws a sample to try")


def read_wider(path, images) -> list[Photo]:
    """WIDER FACE boxes, official or one-line form, told apart by the first two lines -> photos.

    images: the folder of its photos below the data folder, e.g. "WIDER_train/images".
    """
    lines = text_lines(path)
    first, second = ([text for _, text in lines[:2]] + ["", ""])[:2]
    parse = _official if _is_name(first) or _is_count(second) else _one_line
    return collect(path, parse(lines, images))


def read_landmarks(path) -> list[Photo]:
    """`lfw_5590\\x.jpg LEFT RIGHT TOP BOTTOM` and x y of each of POINTS a line -> photos with one face each."""
    return collect(path, _landmark_lines(text_lines(path)))


def read_mtfl(path) -> list[Photo]:
    """MTFL's `AFLW/x.jpg x1 x2 x3 x4 x5 y1 y2 y3 y4 y5 gender smile glasses pose` -> photos with one face each.

    The file counts pixels from 1. The box is that of the five points, much tighter than the face.
    """
    require_facial_points(path)
    return collect(path, _mtfl_lines(text_lines(path)))


def text_lines(path):
    """The lines that hold anything, as (number, text) with the number counted from 1."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a text file in UTF-8; save it as one") from None
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]


def collect(path, entries):
    """Entries (line number or file name, photo or the reason why not) -> photos, each path once."""
    photos, problems, seen = [], Problems(), {}
    total = 0
    for number, entry in entries:
        total += 1
        reason = entry if isinstance(entry, BadLine) else _unfit(entry.path)
        if reason:
            problems.add(f"{path}:{number}: {reason}")
        elif entry.path in seen:
            problems.add(f"{path}:{number}: {entry.path} was already listed in line {seen[entry.path]}")
        else:
            seen[entry.path] = number
            photos.append(entry)
    problems.report(total, "entries", path)
    if not any(len(photo.boxes) for photo in photos):
        raise UserError(f"{path}: there is not one face in it; check that it is the right file")
    return photos


def _official(lines, images):
    """name / count / count lines `x y w h blur expression illumination invalid occlusion pose`.

    A photo without faces has the count 0 and one line of zeros all the same. After a broken entry reading goes on
    at the next line that looks like a photo's name.
    """
    i = 0
    while i < len(lines):
        number, name = lines[i]
        i += 1
        try:
            path = _photo_path(images, name)
            if i >= len(lines) or not _is_count(lines[i][1]):
                raise BadLine(f"after the photo {name} the number of its faces is expected")
            count = int(lines[i][1])
            rows = lines[i + 1:i + 1 + max(count, 1)]
            if count == 0 and rows and _is_name(rows[0][1]):
                rows = []    # some copies leave the line of zeros out
            i += 1
            faces = []
            for number, row in rows:
                if _is_name(row):
                    raise BadLine(f"{count} faces of {name} are announced, {len(faces)} are there")
                i += 1
                faces.append(numbers(row, 10))
            if len(faces) < count:
                raise BadLine(f"{count} faces of {name} are announced, {len(faces)} are there")
            rows = np.array(faces[:count], np.float32).reshape(-1, 10)
            corner, side = rows[:, :2], rows[:, 2:4]
            yield number, Photo(path, np.hstack([corner, corner + side]).astype(np.float32),
                                (rows[:, 7] != 0) | (side <= 0).any(axis=1))
        except BadLine as error:
            yield number, error
            while i < len(lines) and not _is_name(lines[i][1]):
                i += 1


def _is_name(text):
    return bool(re.search(r"\.(jpe?g|png|bmp|webp)$", text, re.IGNORECASE))


def _is_count(text):
    return text.isascii() and text.isdigit() and len(text) < 7


_NUMBER = re.compile(r"[-+.\deE]+")


def _one_line(lines, images):
    """`<event/name without .jpg> x1 y1 x2 y2 [x1 y1 x2 y2 ...]`; the name may hold spaces."""
    for number, line in lines:
        tokens = line.split()
        count = sum(1 for _ in takewhile(_NUMBER.fullmatch, tokens[:0:-1]))
        name, values = line.rsplit(maxsplit=count)[0], tokens[len(tokens) - count:]
        try:
            if len(values) % 4:
                raise BadLine(f"{len(values)} numbers are not a whole number of boxes x1 y1 x2 y2")
            boxes = np.array(numbers(" ".join(values), len(values)), np.float32).reshape(-1, 4)
            path = _photo_path(images, name if _is_name(name) else name + ".jpg")
            yield number, Photo(path, boxes, (boxes[:, 2:] <= boxes[:, :2]).any(axis=1))
        except BadLine as error:
            yield number, error


def _landmark_lines(lines):
    count = 4 + 2 * len(POINTS)
    for number, line in lines:
        name, *values = line.rsplit(maxsplit=count)
        try:
            if len(values) == count and _NUMBER.fullmatch(name.split()[-1]):
                raise BadLine(f"more than {count} numbers, while config.py names {len(POINTS)} points")
            left, right, top, bottom, *points = numbers(" ".join(values), count)
            if right <= left or bottom <= top:
                raise BadLine(f"the box {left:g} {right:g} {top:g} {bottom:g} (left right top bottom) is empty")
            yield number, Photo(_photo_path("", name), np.array([[left, top, right, bottom]], np.float32),
                                np.zeros(1, bool), np.array(points, np.float32).reshape(1, -1, 2))
        except BadLine as error:
            yield number, error


def _mtfl_lines(lines):
    for number, line in lines:
        name, *values = line.rsplit(maxsplit=14)
        try:
            points = np.array(numbers(" ".join(values), 14)[:10], np.float32).reshape(2, 5).T - 1
            box = np.concatenate([points.min(axis=0), points.max(axis=0)])
            yield number, Photo(_photo_path("", name), box[None], np.zeros(1, bool), points[None])
        except BadLine as error:
            yield number, error


def _photo_path(folder, name):
    """A photo's path below the data folder, with slashes; BadLine where it would leave its folder."""
    reason = _unfit(name)
    if reason:
        raise BadLine(reason)
    return "/".join(([folder] if folder else []) + [part for part in name.replace("\\", "/").split("/") if part])


def numbers(text, count):
    """`count` finite numbers, or BadLine."""
    try:
        values = [float(v) for v in text.split()]
    except ValueError:
        raise BadLine(f"`{text[:60]}` is not {count} numbers") from None
    if len(values) != count:
        raise BadLine(f"{len(values)} numbers where {count} are expected")
    if not all(math.isfinite(v) and abs(v) < 1e6 for v in values):
        raise BadLine(f"`{text[:60]}` holds a number that cannot be a position")
    return values


def _unfit(path):
    """Why this photo's path cannot be in a list, or None."""
    try:
        require_below(path)
    except ValueError as error:
        return str(error)


def require_inside(photo: Photo, width, height):
    """UserError unless the centre of every face that counts lies in the photo, px, and none is far larger than it:
    else the photo is another one than was annotated, or its boxes are of another form."""
    boxes = photo.boxes[~photo.invalid]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    bad = ((centre < 0) | (centre > (width, height))).any(axis=1) | (bx.longer_side(boxes) > 2 * max(width, height))
    if bad.any():
        face = " ".join(f"{v:g}" for v in boxes[bad][0])
        raise UserError(f"{photo.path}: the face x1 y1 x2 y2 = {face} does not lie "
                        f"in this photo of {width} x {height} px; check the photo and the form of the boxes")


def split(photo: Photo, min_size):
    """Photo -> (true faces (M, 4), faces that do not count (K, 4)): these are invalid or under `min_size` px."""
    true = ~photo.invalid & (bx.longer_side(photo.boxes) >= min_size)
    return photo.boxes[true], photo.boxes[~true]


def summary(photos, min_size):
    """One line about what an annotation file holds."""
    kinds = Counter()
    for photo in photos:
        kinds.update(faces=len(photo.boxes), invalid=int(photo.invalid.sum()),
                     usable=len(split(photo, min_size)[0]), empty=int(len(photo.boxes) == 0))
    return (f"{len(photos)} photos ({kinds['empty']} without a face), {kinds['faces']} faces: "
            f"{kinds['usable']} usable, {kinds['invalid']} marked invalid, the others under {min_size} px")
