"""Labelme: a JSON file beside each image, of the same name. Boxes are shapes `rectangle`, two opposite corners in px.

Points are shapes `point` whose label is one of POINTS, and belong to the rectangle with the same `group_id`. Shapes of
other types and points of other labels are left out.
"""
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from config import POINTS
from preprocess.labels import AnnotatedImage, BadLabel, Entry, annotate, attempt
from preprocess.labels.reading import SetImages, numbers


def entries(folder: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The JSON files below a folder, each with the name of its image."""
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder)
        yield name.as_posix(), attempt(_file, path, images, name.with_suffix("").as_posix(), classes)


def _file(path: Path, images: SetImages, name: str, classes: set[str] | None) -> AnnotatedImage:
    boxes, of_group, labeled = [], {}, []
    try:
        for shape in json.loads(path.read_text(encoding="utf-8-sig"))["shapes"]:
            kind, group = shape.get("shape_type", "polygon"), shape.get("group_id")
            corners = [numbers(" ".join(map(str, corner)), 2) for corner in shape["points"]]
            if kind == "rectangle" and (classes is None or shape["label"] in classes):
                if len(corners) != 2:
                    raise BadLabel(f"a rectangle has {len(corners)} corners, where two opposite ones are expected")
                of_group.setdefault(group, []).append(len(boxes))
                boxes.append([*np.min(corners, axis=0), *np.max(corners, axis=0)])
            elif kind == "point" and shape["label"] in POINTS:
                labeled.append((group, POINTS.index(shape["label"]), corners[0]))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        if isinstance(error, BadLabel):
            raise
        raise BadLabel(f"is not a file of Labelme ({type(error).__name__}: {error})") from None
    points = np.full((len(boxes), len(POINTS), 2), np.nan)
    for group, which, place in labeled:
        faces = of_group.get(group, [])
        if len(faces) != 1:
            raise BadLabel(f"the point {POINTS[which]} of group {group} fits {len(faces)} rectangles; give a face and "
                           "its points a group_id of their own")
        points[faces[0], which] = place
    return annotate(images.find(name), boxes, points=points)
