"""CVAT for images: one XML file with all images. A box is `box`, its corners xtl ytl xbr ybr in px.

Points are `points` with as many places as POINTS, in their order, or a `skeleton` whose points are called like POINTS.
They belong to the box with the same `group_id`; CVAT writes 0 or none where shapes are not grouped. In an image without
a box, each such shape with all five points is a face, whose box follows from them. Other shapes are left out.
"""
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from config import FACIAL_POINTS, POINTS
from detection.errors import UserError
from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers
from preprocess.labels.voc import read_xml

FORM = Form("CVAT for images")
CORNERS = ("xtl", "ytl", "xbr", "ybr")


def entries(path: Path) -> Iterator[Saying]:
    """The images in the file. UserError where it is of another form."""
    try:
        root = read_xml(path)
    except BadLabel as error:
        raise UserError(f"{path}: {error}") from None
    if root.find("track") is not None or root.find("image") is None:
        raise UserError(f"{path}: is not an export `CVAT for images`, which holds a tag `image` for each image")
    for image in root.iter("image"):
        name, subset = image.get("name", ""), image.get("subset")
        names = (f"{subset}/{name}", name) if subset else (name,)   # each subset of a project gets a folder
        yield name or "?", attempt(_image, names, image, names=names)


def _image(names: tuple[str, ...], image: ElementTree.Element) -> Stated:
    boxes, turned, classes, of_group = [], [], [], {}
    for box in image.iter("box"):
        of_group.setdefault(box.get("group_id"), []).append(len(boxes))
        boxes.append(numbers(" ".join(box.get(corner, "") for corner in CORNERS), 4))
        turned += numbers(box.get("rotation", "0"), 1)
        classes.append(box.get("label", ""))
    if any(turned):
        raise BadLabel("holds a rotated box, and boxes here are upright; draw it without a rotation")
    found = [(shape.get("group_id"), places, shape.get("label", "")) for shape, places in _points(image)]
    whole = [(places, label) for _, places, label in found if np.isfinite(places).all()]
    points = np.full((len(boxes), len(POINTS), 2), np.nan)
    if not boxes and whole and POINTS == FACIAL_POINTS:
        boxes, points, classes = None, [places for places, _ in whole], [label for _, label in whole]
    else:
        for group, places, _ in found:
            owners = of_group.get(group, []) if group not in (None, "0") else []
            if len(owners) == 1:
                points[owners[0]] = places
    return Stated(names, boxes, None, points, classes, (image.get("width"), image.get("height")))


def _points(image: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, np.ndarray]]:
    """The shapes of an image that hold POINTS, and their places (P, 2), NaN where one is missing."""
    for shape in image.findall("points"):
        places = [numbers(place.replace(",", " "), 2) for place in shape.get("points", "").split(";")]
        if len(places) == len(POINTS):
            yield shape, np.array(places)
    for shape in image.findall("skeleton"):
        places = np.full((len(POINTS), 2), np.nan)
        for point in shape.findall("points"):
            if point.get("label") in POINTS and point.get("outside", "0") != "1":
                places[POINTS.index(point.get("label"))] = numbers(point.get("points", "").replace(",", " "), 2)
        if np.isfinite(places).any():
            yield shape, places
