"""Pascal VOC: an XML file per image, corners in px counted from 1, the right and lower one inside the box."""
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from preprocess.labels import BadLabel, Form, Saying, Stated, attempt
from preprocess.labels.reading import numbers

FORM = Form("Pascal VOC", first=1, per_file=True)
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def entries(path: Path) -> Iterator[Saying]:
    """The image of a file. Objects marked difficult are invalid."""
    yield path.name, attempt(_file, path)


def _file(path: Path) -> Stated | BadLabel:
    root = read_xml(path)
    names = path.stem, root.findtext("filename", path.stem).strip() or path.stem
    return attempt(_image, names, root, names=names)


def _image(names: tuple[str, ...], root: ElementTree.Element) -> Stated:
    boxes, invalid, classes = [], [], []
    if root.tag != "annotation" and root.find("object") is None:
        raise BadLabel(f"begins with the tag {root.tag[:60]}, not with annotation")
    for thing in root.iter("object"):
        boxes.append(numbers(" ".join(thing.findtext(f"bndbox/{corner}", "") for corner in CORNERS), 4))
        invalid.append(thing.findtext("difficult", "0").strip() == "1")
        classes.append(thing.findtext("name", "").strip())
    return Stated(names, boxes, invalid, None, classes, (root.findtext("size/width"), root.findtext("size/height")))


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file. BadLabel where it defines entities, of which a few lines can grow to gigabytes."""
    text = path.read_bytes()
    if b"<!DOCTYPE" in text.replace(b"\0", b""):       # in UTF-16 with zeros between
        raise BadLabel("holds a DOCTYPE, which no annotation needs; remove it")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:      # the latter two: of its encoding
        raise BadLabel(f"is not XML ({error})") from None
