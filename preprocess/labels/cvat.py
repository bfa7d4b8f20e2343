"""CVAT for images: one XML file with all images. A box is `box`, its corners xtl ytl xbr ybr in px.

Points are `points` with as many places as POINTS, in their order, in the box with the same `group_id`; CVAT writes 0 or
none where shapes are not grouped. Other shapes are left out.
"""
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from config import POINTS
from detection.errors import UserError
from preprocess.labels import AnnotatedImage, BadLabel, Entry, annotate, attempt
from preprocess.labels.reading import SetImages, numbers
from preprocess.labels.voc import read_xml

CORNERS = ("xtl", "ytl", "xbr", "ybr")


def entries(path: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The images in the file. UserError where it is of another form."""
    try:
        root = read_xml(path)
    except BadLabel as error:
        raise UserError(f"{path}: {error}") from None
    if root.find("track") is not None or root.find("image") is None:
        raise UserError(f"{path}: is not an export `CVAT for images`, which holds a tag `image` for each image")
    for image in root.iter("image"):
        yield image.get("name", "?"), attempt(_image, image, images, classes)


def _image(image: ElementTree.Element, images: SetImages, classes: set[str] | None) -> AnnotatedImage:
    boxes, turned, of_group = [], [], {}
    for box in image.iter("box"):
        if classes is None or box.get("label") in classes:
            of_group.setdefault(box.get("group_id"), []).append(len(boxes))
            boxes.append(numbers(" ".join(box.get(corner, "") for corner in CORNERS), 4))
            turned.append(float(box.get("rotation", 0)) != 0)
    if any(turned):
        raise BadLabel("holds a rotated box, and boxes here are upright; draw it without a rotation")
    points = np.full((len(boxes), len(POINTS), 2), np.nan)
    for shape in image.iter("points"):
        owners = of_group.get(shape.get("group_id"), []) if shape.get("group_id") not in (None, "0") else []
        places = [numbers(place.replace(",", " "), 2) for place in shape.get("points", "").split(";")]
        if len(owners) == 1 and len(places) == len(POINTS):
            points[owners[0]] = places
    return annotate(_find(images, image), boxes, points=points)


def _find(images: SetImages, image: ElementTree.Element) -> str:
    """An export of a project puts the images of each subset into a folder of its name."""
    name, subset = image.get("name", ""), image.get("subset")
    try:
        return images.find(f"{subset}/{name}" if subset else name)
    except BadLabel:
        return images.find(name)
