"""Label Studio's exports JSON and JSON-MIN: one file with all tasks, places in percent of the image's sides.

A box is a rectangle with its upper left corner, its size and a rotation, in degrees clockwise around that corner; of a
rotated one, the upright box around it counts. Points are key points whose label is one of POINTS; they belong to the
rectangle that is their parent, or to the only one in the image. Of several annotations of a task the first one counts
that was not cancelled.
"""
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from config import POINTS
from detection.errors import UserError
from preprocess.labels import AnnotatedImage, BadLabel, Entry, annotate, attempt
from preprocess.labels.reading import SetImages, numbers

PREFIX = re.compile(r"^[0-9a-f]{8}-")       # that an upload puts before the name of a file


def entries(path: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The tasks in the file, by their id. UserError where the file is of another form."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
        ids = [task["id"] for task in tasks]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not an export JSON or JSON-MIN of Label Studio ({type(error).__name__}: {error})"
                        ) from None
    for number, task in zip(ids, tasks):
        yield f"task {number}", attempt(_task, task, images, classes)


def _task(task: dict[str, Any], images: SetImages, classes: set[str] | None) -> AnnotatedImage:
    try:
        boxes, of_region, labeled = [], {}, []
        for region, value, width, height in _regions(task):
            corner = numbers(f"{value['x']} {value['y']}", 2)
            if set(value.get("rectanglelabels", [])) & (classes or set(value.get("rectanglelabels", []))):
                side = numbers(f"{value['width']} {value['height']}", 2)
                of_region[region.get("id")] = len(boxes)
                boxes.append(_upright(np.array(corner) * (width, height) / 100, np.array(side) * (width, height) / 100,
                                      float(value.get("rotation") or 0)))
            for label in set(value.get("keypointlabels", [])) & set(POINTS):
                labeled.append((region.get("parentID"), POINTS.index(label), np.array(corner) * (width, height) / 100))
        name = task["data"]["image"] if "data" in task else task["image"]
        points = np.full((len(boxes), len(POINTS), 2), np.nan)
        for parent, which, place in labeled:
            face = of_region.get(parent) if parent else 0 if len(boxes) == 1 else None
            if face is None:
                raise BadLabel(f"the point {POINTS[which]} has no rectangle as its parent, and the image has "
                               f"{len(boxes)}")
            points[face, which] = place
    except (KeyError, TypeError, AttributeError) as error:
        raise BadLabel(f"is not a task with an image ({type(error).__name__}: {error})") from None
    return annotate(_find(images, str(name)), boxes, points=points)


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


def _upright(corner: np.ndarray, side: np.ndarray, degrees: float) -> np.ndarray:
    """Upper left corner and size of a rectangle, px, turned clockwise around that corner -> the box around it (4,)."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    corners = corner + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * side @ np.array([[cos, sin], [-sin, cos]])
    return np.hstack([corners.min(axis=0), corners.max(axis=0)])


def _find(images: SetImages, address: str) -> str:
    """The image of an address like /data/upload/3/1a2b3c4d-x.jpg, by its last part, with the prefix or without."""
    name = re.split(r"[/\\=]", unquote(address))[-1]
    try:
        return images.find(name)
    except BadLabel:
        return images.find(PREFIX.sub("", name))
