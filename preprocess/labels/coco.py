"""COCO: one JSON file with all images, boxes x y w h in px, and `keypoints`, x y visibility of each of POINTS."""
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from config import POINTS
from detection.errors import UserError
from preprocess.labels import AnnotatedImage, Entry, annotate, attempt
from preprocess.labels.reading import SetImages, numbers


def entries(path: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The images that a COCO file names. Boxes of crowds are invalid. UserError where the file is of another form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        others = 0      # annotations with another number of points
        names = {kind["id"]: kind["name"] for kind in content.get("categories", [])}
        of_image = {image["id"]: (str(image["file_name"]), [], [], []) for image in content["images"]}
        for thing in content["annotations"]:
            if classes is None or names.get(thing["category_id"]) in classes:
                _, boxes, invalid, points = of_image[thing["image_id"]]
                boxes.append(" ".join(map(str, thing["bbox"])))
                invalid.append(bool(thing.get("iscrowd", 0)))
                keypoints = thing.get("keypoints") or []
                points.append(_points(keypoints))
                others += len(keypoints) not in (0, 3 * len(POINTS))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not a COCO annotation file ({type(error).__name__}: {error})") from None
    if others:
        print(f"{path}: {others} boxes have another number of points than the {len(POINTS)} that config.py names; "
              "these points are left out")
    for name, boxes, invalid, points in of_image.values():
        yield name, attempt(_image, images, name, boxes, invalid, points)


def _points(keypoints: list[float]) -> np.ndarray:
    """x y visibility of each point -> (P, 2), px; NaN where the visibility is 0, or all are of another number."""
    if len(keypoints) != 3 * len(POINTS):
        return np.full((len(POINTS), 2), np.nan)
    points = np.reshape(np.array(keypoints, np.float32), (-1, 3))
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan)


def _image(images: SetImages, name: str, boxes: list[str], invalid: list[bool],
           points: list[np.ndarray]) -> AnnotatedImage:
    path = images.find(name)
    rows = np.array([numbers(box, 4) for box in boxes], np.float32).reshape(-1, 4)
    return annotate(path, np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:]]), invalid,
                    np.reshape(points, (-1, len(POINTS), 2)))
