"""COCO: one JSON file with all images, boxes x y w h in px, and `keypoints`, x y visibility of each of POINTS.

Where no face of an image has a box, or only one of zeros, and each has its five points, the boxes follow from these.
"""
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from config import BAD_SHARE, FACIAL_POINTS, POINTS
from detection.errors import UserError
from preprocess.labels import Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers

FORM = Form("COCO", "x y w h")

def entries(path: Path) -> Iterator[Saying]:
    """The images that a COCO file names. Boxes of crowds, and those to ignore, are invalid.

    UserError where the file is of another form, or contradicts itself.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        skipped, others = Counter(), 0      # others: annotations with another number of points
        names = {str(kind["id"]): kind["name"] for kind in content.get("categories", [])}
        of_image = {}
        for image in content["images"]:
            identity, size = str(image["id"]), (image.get("width"), image.get("height"))
            found = of_image.setdefault(identity, (str(image["file_name"]), size, [], [], [], []))
            if found[0] != str(image["file_name"]):
                raise UserError(f"{path}: the image id {identity} stands for {found[0]} and for {image['file_name']}, "
                                "so nobody can say whose its boxes are; merge the files again with new ids")
        for thing in content["annotations"]:
            if str(thing["image_id"]) not in of_image:
                skipped["boxes of images that it does not list"] += 1
                continue
            _, _, boxes, invalid, points, classes = of_image[str(thing["image_id"])]
            boxes.append(" ".join(map(str, thing.get("bbox") or [])))      # without a box the image is a BadLabel
            invalid.append(bool(thing.get("iscrowd", 0) or thing.get("ignore", 0)))
            keypoints = thing.get("keypoints") or []
            points.append(_points(keypoints))
            kind = str(thing["category_id"])
            classes.append(str(names.get(kind, kind)))
            others += len(keypoints) not in (0, 3 * len(POINTS))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not a COCO annotation file ({type(error).__name__}: {error})") from None
    if others:
        print(f"{path}: {others} boxes have another number of points than the {len(POINTS)} that config.py names; "
              "these points are left out")
    for what, count in skipped.items():
        if count > BAD_SHARE * len(content["annotations"]):
            raise UserError(f"{path}: {count} of {len(content['annotations'])} boxes are {what}; that is more than "
                            f"{BAD_SHARE:.0%}, so the file is incomplete: export it again")
        print(f"{path}: {count} {what}; they are left out")
    for name, *image in of_image.values():
        yield name, attempt(_image, name, *image, names=(name,))


def _points(keypoints: list[float]) -> np.ndarray:
    """x y visibility of each point -> (P, 2), px; NaN where the visibility is 0, or all are of another number."""
    if len(keypoints) != 3 * len(POINTS):
        return np.full((len(POINTS), 2), np.nan)
    points = np.reshape(np.array(keypoints, np.float32), (-1, 3))
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan)


def _image(name: str, size: tuple, boxes: list[str], invalid: list[bool], points: list[np.ndarray], classes: list[str]
           ) -> Stated:
    points = np.reshape(points, (-1, len(POINTS), 2))
    empty = bool(boxes) and not any(box.strip(" 0.") for box in boxes)
    made = empty and POINTS == FACIAL_POINTS and bool(np.isfinite(points).all())
    return Stated((name,), None if made else [numbers(box, 4) for box in boxes], invalid, points, classes, size)
