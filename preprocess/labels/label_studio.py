"""Label Studio's exports JSON and JSON-MIN: one file with all tasks, places in percent of the image's sides.

A box is a rectangle with its upper left corner, its size and a rotation, in degrees clockwise around that corner; of a
rotated one, the upright box around it counts. Points are key points whose label is one of POINTS; they belong to the
rectangle that is their parent, or to the only one in the image. In an image without a rectangle, five points are the
only face, whose box follows from them. Of several annotations of a task the first one counts
that was not cancelled.
"""
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from config import FACIAL_POINTS, POINTS
from detection.errors import UserError
from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers

FORM = Form("Label Studio", "x y w h", "percent")
PREFIX = re.compile(r"^[0-9a-f]{8}-")       # that an upload puts before the name of a file


def entries(path: Path) -> Iterator[Saying]:
    """The tasks in the file, by their id or place. UserError where the file is of another form."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
        ids = [task.get("id", f"number {n}") for n, task in enumerate(tasks, 1)]     # tasks to import have none
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not an export JSON or JSON-MIN of Label Studio ({type(error).__name__}: {error})"
                        ) from None
    for number, task in zip(ids, tasks):
        yield f"task {number}", attempt(_task, task)


def _task(task: dict[str, Any]) -> Stated | BadLabel:
    try:
        name = task["data"]["image"] if "data" in task else task["image"]
    except (KeyError, TypeError) as error:
        raise _no_task(error) from None
    name = re.split(r"[/\\=]", unquote(str(name)))[-1]      # of an address like /data/upload/3/1a2b3c4d-x.jpg
    names = name, PREFIX.sub("", name)
    return attempt(_image, names, task, names=names)


def _no_task(error: Exception) -> BadLabel:
    return BadLabel(f"is not a task with an image ({type(error).__name__}: {error})")


def _image(names: tuple[str, ...], task: dict[str, Any]) -> Stated:
    try:
        boxes, classes, of_region, labeled, size = [], [], {}, [], None
        for region, value, *size in _regions(task):
            corner = numbers(f"{value['x']} {value['y']}", 2)
            if value.get("rectanglelabels"):
                side = numbers(f"{value['width']} {value['height']}", 2)
                of_region[region.get("id")] = len(boxes)
                boxes.append(_upright(corner, side, *numbers(f"{value.get('rotation') or 0}", 1), size))
                classes.append(str(value["rectanglelabels"][0]))
            for label in set(value.get("keypointlabels", [])) & set(POINTS):
                labeled.append((region.get("parentID"), POINTS.index(label), corner))
        alone = not boxes and sorted(which for _, which, _ in labeled) == list(range(len(POINTS)))
        made = alone and POINTS == FACIAL_POINTS
        points = np.full((1 if made else len(boxes), len(POINTS), 2), np.nan)
        for parent, which, place in labeled:
            face = 0 if made else of_region.get(parent) if parent else 0 if len(boxes) == 1 else None
            if face is None:
                raise BadLabel(f"the point {POINTS[which]} has no rectangle as its parent, and the image has "
                               f"{len(boxes)}")
            points[face, which] = place
    except (KeyError, TypeError, AttributeError) as error:
        raise _no_task(error) from None
    return Stated(names, None if made else boxes, None, points, None if made else classes, size)


def _regions(task: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], float, float]]:
    """(region, its value, width and height of the image in px) of each region with a place and a label."""
    if "annotations" in task:
        kept = [each["result"] for each in task["annotations"] if not each.get("was_cancelled")]
        if not kept:
            raise BadLabel("has no annotation")
        found = [(region, region.get("value", {})) for region in kept[0]]
    else:       # JSON-MIN
        found = [(each, each) for values in task.values() if isinstance(values, list)
                 for each in values if isinstance(each, dict)]
    for region, value in found:
        if "rectanglelabels" in value or "keypointlabels" in value:
            yield region, value, region["original_width"], region["original_height"]


def _upright(corner: list[float], side: list[float], degrees: float, size: list[float]) -> list[float]:
    """Upper left corner and size of a rectangle, percent, turned clockwise around that corner in an image of `size` px
    -> corner and size of the box around it, percent."""
    if not degrees:
        return [*corner, *side]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * side * size @ np.array([[cos, sin], [-sin, cos]]) / size
    return [*(corner + corners.min(axis=0)), *np.ptp(corners, axis=0)]
