"""COCO: one JSON file with all images, boxes x y w h in px."""
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detection.errors import UserError
from preprocess.labels import AnnotatedImage, Entry, annotate, attempt
from preprocess.labels.reading import SetImages, numbers


def entries(path: Path, images: SetImages, classes: set[str] | None) -> Iterator[Entry]:
    """The images that a COCO file names. Boxes of crowds are invalid. UserError where the file is of another form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        names = {kind["id"]: kind["name"] for kind in content.get("categories", [])}
        of_image = {image["id"]: (str(image["file_name"]), [], []) for image in content["images"]}
        for thing in content["annotations"]:
            if classes is None or names.get(thing["category_id"]) in classes:
                _, boxes, invalid = of_image[thing["image_id"]]
                boxes.append(" ".join(map(str, thing["bbox"])))
                invalid.append(bool(thing.get("iscrowd", 0)))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not a COCO annotation file ({type(error).__name__}: {error})") from None
    for name, boxes, invalid in of_image.values():
        yield name, attempt(_image, images, name, boxes, invalid)


def _image(images: SetImages, name: str, boxes: list[str], invalid: list[bool]) -> AnnotatedImage:
    path = images.find(name)
    rows = np.array([numbers(box, 4) for box in boxes], np.float32).reshape(-1, 4)
    return annotate(path, np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:]]), invalid)
