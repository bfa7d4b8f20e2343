"""CVAT for images: one XML file with all images. A box is `box`, its corners xtl ytl xbr ybr in px.

Points are `points` with as many places as POINTS, in their order, or a `skeleton` whose points are called like POINTS.
They belong to the only box with the same `group_id`; CVAT writes 0 or none where shapes are not grouped. In an image
without a box, each such shape is a face, whose box follows from its five points. Other shapes are left out, except that
`points` with another number of places are a face, too, where their label has the right number elsewhere in the file.
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
    kinds = {shape.get("label") for shape in root.iterfind("image/points") if len(_places(shape)) == len(POINTS)}
    for image in root.iter("image"):
        name, subset = image.get("name", ""), image.get("subset")
        names = (f"{subset}/{name}", name) if subset else (name,)   # each subset of a project gets a folder
        yield name or "?", attempt(_image, names, image, kinds, names=names)


def _image(names: tuple[str, ...], image: ElementTree.Element, kinds: set[str | None]) -> Stated:
    boxes, turned, classes, of_group = [], [], [], {}
    for box in image.iter("box"):
        of_group.setdefault(_group(box), []).append(len(boxes))
        boxes.append(numbers(" ".join(box.get(corner, "") for corner in CORNERS), 4))
        turned += numbers(box.get("rotation", "0"), 1)
        classes.append(box.get("label", ""))
    if any(turned):
        raise BadLabel("holds a rotated box, and boxes here are upright; draw it without a rotation")
    found = list(_points(image, kinds))
    points = np.full((len(boxes), len(POINTS), 2), np.nan)
    if found and not boxes and POINTS == FACIAL_POINTS:
        if not all(np.isfinite(places).all() for _, places in found):
            raise BadLabel(f"a face without a box lacks some of its {len(POINTS)} points; label them all, or draw its "
                           "box and group them with it")
        boxes, points = None, [places for _, places in found]
        classes = [shape.get("label", "") for shape, _ in found]
    else:
        for shape, places in found:
            owners = of_group.pop(_group(shape), [])        # one shape for each box
            if len(owners) != 1:
                raise BadLabel(f"{len(owners)} boxes are left for the {shape.tag} of group {_group(shape)}; give a "
                               "face and its points a group of their own")
            points[owners[0]] = places
    return Stated(names, boxes, None, points, classes, (image.get("width"), image.get("height")))


def _group(shape: ElementTree.Element) -> str:
    """The number of its group, "0" where it has none."""
    return shape.get("group_id", "0")


def _places(shape: ElementTree.Element) -> list[str]:
    return shape.get("points", "").split(";")


def _points(image: ElementTree.Element, kinds: set[str | None]) -> Iterator[tuple[ElementTree.Element, np.ndarray]]:
    """The shapes of an image that hold POINTS, and their places (P, 2), NaN where one is missing. kinds: the labels of
    `points` that do; with another number of places, all are missing, as nobody knows which."""
    for shape in image.findall("points"):
        places = [numbers(place.replace(",", " "), 2) for place in _places(shape)]
        if shape.get("label") in kinds:
            yield shape, np.array(places) if len(places) == len(POINTS) else np.full((len(POINTS), 2), np.nan)
    for shape in image.findall("skeleton"):
        places = np.full((len(POINTS), 2), np.nan)
        for point in shape.findall("points"):
            if point.get("label") in POINTS and point.get("outside", "0") != "1":
                places[POINTS.index(point.get("label"))] = numbers(point.get("points", "").replace(",", " "), 2)
        if np.isfinite(places).any():
            yield shape, places
