"""Labelme: a JSON file beside each image, of the same name. Boxes are shapes `rectangle`, two opposite corners in px.

Points are shapes `point` whose label is one of POINTS, and belong to the rectangle with the same `group_id`. In a file
without a rectangle, the five points of each group are a face, whose box follows from them. Shapes of other types and
points of other labels are left out.
"""
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from config import FACIAL_POINTS, POINTS
from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers

FORM = Form("Labelme", per_file=True)


def entries(path: Path) -> Iterator[Saying]:
    """The image of a file."""
    yield path.name, attempt(_file, path)


def _file(path: Path) -> Stated | BadLabel:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        names = path.stem, str(content.get("imagePath", path.stem))
    except (AttributeError, ValueError, RecursionError) as error:
        raise _not_labelme(error) from None
    return attempt(_image, names, content, names=names)


def _not_labelme(error: Exception) -> BadLabel:
    return BadLabel(f"is not a file of Labelme ({type(error).__name__}: {error})")


def _image(names: tuple[str, ...], content: dict[str, Any]) -> Stated:
    boxes, classes, of_group, labeled = [], [], {}, []
    try:
        for shape in content["shapes"]:
            kind, group = shape.get("shape_type", "polygon"), shape.get("group_id")
            corners = [numbers(" ".join(map(str, corner)), 2) for corner in shape["points"]]
            if kind == "rectangle":
                if len(corners) != 2:
                    raise BadLabel(f"a rectangle has {len(corners)} corners, where two opposite ones are expected")
                of_group.setdefault(group, []).append(len(boxes))
                boxes.append([*np.min(corners, axis=0), *np.max(corners, axis=0)])
                classes.append(str(shape["label"]))
            elif kind == "point" and shape["label"] in POINTS:
                labeled.append((group, POINTS.index(shape["label"]), corners[0]))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise _not_labelme(error) from None
    points_of = Counter(group for group, _, _ in labeled)
    if not boxes and set(points_of.values()) == {len(POINTS)} and POINTS == FACIAL_POINTS:
        boxes, of_group = None, {group: [face] for face, group in enumerate(points_of)}
    points = np.full((len(of_group) if boxes is None else len(boxes), len(POINTS), 2), np.nan)
    for group, which, place in labeled:
        faces = of_group.get(group, [])
        if len(faces) != 1:
            raise BadLabel(f"the point {POINTS[which]} of group {group} fits {len(faces)} rectangles; give a face and "
                           "its points a group_id of their own")
        points[faces[0], which] = place
    return Stated(names, boxes, None, points, classes or None, (content.get("imageWidth"), content.get("imageHeight")))
