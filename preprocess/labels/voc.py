"""Pascal VOC: an XML file per image, corners in px counted from 1, the right and lower one inside the box."""
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from preprocess.labels import AnnotatedImage, BadLabel, Entry, annotate, attempt
from preprocess.labels.reading import SetImages, numbers

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def entries(folder: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The XML files below a folder, each with the name of its image. Objects marked difficult are invalid."""
    for path in sorted(folder.rglob("*.xml")):
        name = path.relative_to(folder)
        yield name.as_posix(), attempt(_file, path, images, name.with_suffix("").as_posix(), classes)


def _file(path: Path, images: SetImages, name: str, classes: set[str] | None) -> AnnotatedImage:
    image, boxes, invalid = images.find(name), [], []
    root = read_xml(path)
    for thing in root.iter("object"):
        if classes is None or thing.findtext("name", "").strip() in classes:
            corners = " ".join(thing.findtext(f"bndbox/{corner}", "") for corner in CORNERS)
            x1, y1, x2, y2 = numbers(corners, 4)
            boxes.append((x1 - 1, y1 - 1, x2, y2))
            invalid.append(thing.findtext("difficult", "0").strip() == "1")
    scale = images.scale(image, root.findtext("size/width"), root.findtext("size/height"))
    return annotate(image, np.reshape(boxes, (-1, 4)) * scale, invalid)


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file. BadLabel where it defines entities, of which a few lines can grow to gigabytes."""
    text = path.read_bytes()
    if b"<!DOCTYPE" in text.replace(b"\0", b""):       # in UTF-16 with zeros between
        raise BadLabel("holds a DOCTYPE, which no annotation needs; remove it")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:      # the latter two: of its encoding
        raise BadLabel(f"is not XML ({error})") from None
