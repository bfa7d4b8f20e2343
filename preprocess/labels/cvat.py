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
        yield image.get("name", "?"), attempt(_image, image)


def _image(image: ElementTree.Element) -> Stated:
    boxes, turned, classes, of_group = [], [], [], {}
    for box in image.iter("box"):
        of_group.setdefault(box.get("group_id"), []).append(len(boxes))
        boxes.append(numbers(" ".join(box.get(corner, "") for corner in CORNERS), 4))
        turned += numbers(box.get("rotation", "0"), 1)
        classes.append(box.get("label", ""))
    if any(turned):
        raise BadLabel("holds a rotated box, and boxes here are upright; draw it without a rotation")
    points = np.full((len(boxes), len(POINTS), 2), np.nan)
    for shape in image.iter("points"):
        owners = of_group.get(shape.get("group_id"), []) if shape.get("group_id") not in (None, "0") else []
        places = [numbers(place.replace(",", " "), 2) for place in shape.get("points", "").split(";")]
        if len(owners) == 1 and len(places) == len(POINTS):
            points[owners[0]] = places
    name, subset = image.get("name", ""), image.get("subset")
    names = (f"{subset}/{name}", name) if subset else (name,)   # of a project, each subset gets a folder of its name
    return Stated(names, boxes, None, points, classes, (image.get("width"), image.get("height")))
