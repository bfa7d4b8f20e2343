"""The photos to train on: WIDER FACE, and every further set in <data>/sets, whatever its form.

    <data>/sets/<name>/images/                the photos, in folders or not
    <data>/sets/<name>/annotations/*.xml      Pascal VOC, a file a photo of the same name
                      /labels/*.txt           or YOLO: `class x y w h` a line, centre and size as shares of the photo
                      /annotations.json       or COCO
                      /annotations.txt        or WIDER FACE's official or one-line form
                      /set.json               optional: {"complete": false, "classes": ["face", ...]}

complete: whether every face is labelled (else no background is cut from these photos; default true). classes: names,
for YOLO numbers, of what counts as a face; boxes of other classes are left out (default: all count).
"""
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from config import MIN_TRUTH_SIZE
from detection.errors import UserError
from detection.images import EXTENSIONS, read
from preprocess.labels import annotations
from preprocess.labels.annotations import BadLine, Photo

SETS = "sets"


def training(data):
    """Data folder -> all photos to train on, and {file or folder: fingerprint of what it says}.

    Prints what each source holds; UserError where there is none.
    """
    data = Path(data)
    found = {folder: read_set(data, folder) for folder in sorted((data / SETS).glob("*")) if folder.is_dir()}
    if not found or any((data / name).is_file() for name in annotations.WIDER_TRAIN):
        source = annotations.find(data, *annotations.WIDER_TRAIN)
        found = {source: annotations.read_wider(source, annotations.WIDER_TRAIN_IMAGES), **found}
    for source, photos in found.items():
        print(f"{source}: {annotations.summary(photos, MIN_TRUTH_SIZE)}")
    return ([photo for photos in found.values() for photo in photos],
            {source.relative_to(data).as_posix(): fingerprint(photos) for source, photos in found.items()})


def fingerprint(photos):
    """Hex digest of all that is annotated: two lists with the same one train the same."""
    digest = hashlib.blake2b(digest_size=16)
    for photo in photos:
        digest.update(f"{photo.path}\n{photo.complete}\n".encode())
        digest.update(photo.boxes.tobytes() + photo.invalid.tobytes())
    return digest.hexdigest()


def read_set(data, folder) -> list[Photo]:
    """The photos of <data>/sets/<name>, in any of the forms."""
    about = _about(folder / "set.json")
    images = (folder / "images").relative_to(data).as_posix()
    if (folder / "annotations.txt").is_file():
        photos = annotations.read_wider(folder / "annotations.txt", images)
    else:
        forms = {"annotations.json": _coco, "annotations": _voc, "labels": _yolo}
        name = next((name for name in forms if (folder / name).exists()), None)
        if name is None:
            raise UserError(f"{folder}: has no annotations.txt, annotations.json, annotations/ or labels/; "
                            "data/README.md says how a set is laid out")
        photos = annotations.collect(folder / name, forms[name](folder / name, _photos(data, folder), about["classes"]))
    return [replace(photo, complete=about["complete"]) for photo in photos]


def _about(path):
    """What set.json says, checked, with the defaults for what it does not say."""
    result = {"complete": True, "classes": None}
    if path.is_file():
        try:
            said = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: is not JSON ({error}); data/README.md shows one") from None
        if not isinstance(said, dict) or said.keys() - result.keys() or not (
                isinstance(said.get("complete", True), bool) and isinstance(said.get("classes", []), list)):
            raise UserError(f'{path}: must look like {{"complete": false, "classes": ["face"]}}, both optional')
        result.update(said)
    return {**result, "classes": result["classes"] and {str(name) for name in result["classes"]}}


def _photos(data, folder):
    """Name of each photo below images/, without and with extension -> its path below the data folder."""
    paths = sorted(p for p in (folder / "images").rglob("*") if p.suffix.lower() in EXTENSIONS)
    if not paths:
        raise UserError(f"{folder / 'images'}: there is no photo in it")
    images = folder / "images"
    return {name: path.relative_to(data).as_posix() for path in reversed(paths)
            for name in (path.relative_to(images).with_suffix("").as_posix(), path.relative_to(images).as_posix())}


def _photo(path, boxes, invalid):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Photo(path, boxes, np.array(invalid, bool) | (boxes[:, 2:] <= boxes[:, :2]).any(axis=1))


def _voc(folder, photos, classes):
    """Pascal VOC: corners counted from 1, the right and lower one inside the box; `difficult` ones do not count."""
    for path in sorted(folder.rglob("*.xml")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            if name not in photos:
                raise BadLine(f"there is no photo {name} in images/")
            boxes, invalid = [], []
            for thing in _xml(path).iter("object"):
                if classes is None or thing.findtext("name", "").strip() in classes:
                    corners = [thing.findtext(f"bndbox/{key}", "") for key in ("xmin", "ymin", "xmax", "ymax")]
                    x1, y1, x2, y2 = annotations.numbers(" ".join(corners), 4)
                    boxes.append((x1 - 1, y1 - 1, x2, y2))
                    invalid.append(thing.findtext("difficult", "0").strip() == "1")
            yield path.name, _photo(photos[name], boxes, invalid)
        except BadLine as error:
            yield path.name, error
        except (ElementTree.ParseError, ValueError, LookupError) as error:      # the latter two: of its encoding
            yield path.name, BadLine(f"is not XML ({error})")


def _xml(path):
    """The root of an XML file. BadLine where it defines entities, of which a few lines can grow to gigabytes."""
    text = path.read_bytes()
    if b"<!DOCTYPE" in text.replace(b"\0", b""):       # in UTF-16 with zeros between
        raise BadLine("holds a DOCTYPE, which no annotation needs; remove it")
    return ElementTree.fromstring(text)


def _yolo(folder, photos, classes):
    """YOLO: centre and size as shares of the photo, so each photo is opened for its size."""
    def entry(path):
        try:
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name not in photos:
                raise BadLine(f"there is no photo {name} in images/")
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            rows = [line.split(maxsplit=1) for line in lines if line.strip()]
            rows = [annotations.numbers(values[0] if values else "", 4) for kind, *values in rows
                    if classes is None or kind in classes]
            height, width = read(folder.parents[2] / photos[name]).shape[:2]
            centre, side = np.split(np.array(rows, np.float32).reshape(-1, 4) * np.tile((width, height), 2), 2, axis=1)
            return _photo(photos[name], np.hstack([centre - side / 2, centre + side / 2]), [False] * len(rows))
        except (BadLine, UserError, UnicodeDecodeError) as error:
            return BadLine(str(error))

    paths = sorted(path for path in folder.rglob("*.txt") if path.name != "classes.txt")
    with ThreadPoolExecutor() as pool:
        yield from zip((path.name for path in paths), pool.map(entry, paths))


def _coco(path, photos, classes):
    """COCO: boxes x y w h; crowds do not count."""
    try:
        said = json.loads(path.read_text(encoding="utf-8-sig"))
        names = {kind["id"]: kind["name"] for kind in said.get("categories", [])}
        of_photo = {image["id"]: (str(image["file_name"]), [], []) for image in said["images"]}
        for thing in said["annotations"]:
            if classes is None or names.get(thing["category_id"]) in classes:
                _, boxes, invalid = of_photo[thing["image_id"]]
                boxes.append(" ".join(map(str, thing["bbox"])))
                invalid.append(bool(thing.get("iscrowd", 0)))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not a COCO annotation file ({type(error).__name__}: {error})") from None
    for name, boxes, invalid in of_photo.values():
        try:
            if name not in photos:
                raise BadLine(f"there is no photo {name} in images/")
            rows = np.array([annotations.numbers(box, 4) for box in boxes], np.float32).reshape(-1, 4)
            yield name, _photo(photos[name], np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:]]), invalid)
        except BadLine as error:
            yield name, error
