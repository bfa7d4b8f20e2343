"""YOLO: a text file per image, a line `class x y w h` per box: center and size as shares of the image's sides.

With points, as Ultralytics pose and yolov5-face write them, `x y` or `x y visibility` of each of POINTS follow, as
shares too; a point of 0 0, of -1 -1 or of visibility 0 is not labeled.
"""
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from config import POINTS
from detection.errors import UserError
from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers

FORM = Form("YOLO", "center w h", "shares", per_file=True)
NAMES = "data.yaml", "dataset.yaml", "obj.names", "classes.txt", "_darknet.labels"    # files with the names of classes
ENTRY = re.compile(r"""\s*(?:\d+\s*:\s*)?(?:'[^']*'|"[^"]*"|[^,]*)""")     # of a list in a line; quotes may hold commas


def entries(path: Path) -> Iterator[Saying]:
    """The image of a file."""
    yield path.name, attempt(_file, path)


def class_names(path: Path) -> dict[str, str]:
    """Number of a class -> its name, by one of NAMES; nothing where the file does not say.

    UserError where a blank line precedes a name: labelImg and darknet count that line, CVAT does not.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = [line.split(" #")[0].rstrip() for line in text.rstrip().splitlines()]
    if path.suffix != ".yaml":
        if "" in lines:
            raise UserError(f"{path}: its line {lines.index('') + 1} is blank, and programs do not agree whether that "
                            "is a class without a name; write a name there, or remove the line")
        return {str(number): line.strip() for number, line in enumerate(lines)}
    start = next((i for i, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is None:
        return {}
    block = [lines[start].split(":", 1)[1]]
    for line in lines[start + 1:]:
        if line and not line.startswith((" ", "\t", "-", "]", "}")):
            break
        block.append(line)
    text = " ".join(block).strip()
    if text.startswith(("[", "{")):
        block = ENTRY.findall(text.strip("[]{} "))
    found = [entry.strip().removeprefix("-").strip() for entry in block if entry.strip()]
    numbered = [re.fullmatch(r"(\d+)\s*:\s*(.*)", entry) for entry in found]
    return {match[1] if match else str(number): (match[2] if match else entry).strip("\"' ")
            for number, (match, entry) in enumerate(zip(numbered, found))}


def _file(path: Path) -> Stated:
    try:
        rows = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise BadLabel(str(error)) from None
    classes = [_class(kind) for kind, *_ in rows]
    found = [_row(values[0] if values else "") for _, *values in rows]
    return Stated((path.stem,), [box for box, _ in found], None,
                  np.reshape([points for _, points in found], (-1, len(POINTS), 2)), classes)


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
