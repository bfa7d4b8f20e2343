"""The images to train on: WIDER FACE, and every further set in <data>/sets, whatever its form.

    <data>/sets/<name>/images/                the images, in folders or not
    <data>/sets/<name>/annotations/*.xml      Pascal VOC, a file per image, of the same name
                      /labels/*.txt           or YOLO: `class x y w h` a line, center and size as shares of the image
                      /annotations.json       or COCO
                      /annotations.txt        or WIDER FACE's official or one-line form
                      /label.txt              or RetinaFace's list, with points
                      /labelv2.txt            or SCRFD's and YuNet's list, with points
                      /list_bbox_celeba.txt   or CelebA's list, and list_landmarks_celeba.txt with points beside it
                      /training.txt           or MTFL's list: points, of which boxes are made
                      /annotations.xml        or CVAT's export `CVAT for images`
                      /label_studio.json      or Label Studio's export JSON or JSON-MIN
                      /images/*.json          or Labelme's files, one beside each image
                      /images/*.pts           or iBUG's 68 points, a file beside each image
                      /set.json               optional: {"complete": false, "classes": ["face", ...]}

complete: whether every face is labeled (else no background is cut from these images; default true, but false for the
forms that label one face an image: CelebA, MTFL and iBUG). classes: names,
for YOLO numbers, of what counts as a face; boxes of other classes are left out (default: all count).
"""
import json
from dataclasses import dataclass, replace
from pathlib import Path

from config import MIN_TRUTH_SIZE
from detection.errors import UserError
from preprocess import labels
from preprocess.labels import (
    AnnotatedImage,
    celeba,
    coco,
    cvat,
    ibug,
    label_studio,
    labelme,
    labelv2,
    mtfl,
    retinaface,
    voc,
    wider,
    yolo,
)
from preprocess.labels.reading import SetImages

SETS = "sets"
FORMS = {"annotations.json": coco, "annotations": voc, "labels": yolo,      # file or folder in a set -> its reader
         "label.txt": retinaface, "labelv2.txt": labelv2, "list_bbox_celeba.txt": celeba, "training.txt": mtfl,
         "annotations.xml": cvat, "label_studio.json": label_studio}
BESIDE = {"*.json": labelme, "*.pts": ibug}  # files beside the images of a set -> their reader
ONE_FACE = celeba, mtfl, ibug           # readers of forms that label one face an image, whatever others it shows


@dataclass(frozen=True)
class About:
    """What set.json says of a set."""
    complete: bool | None = None        # None: as the form has it
    classes: set[str] | None = None


def training(data: Path) -> tuple[list[AnnotatedImage], dict[str, str]]:
    """Data folder -> all images to train on, and {file or folder: fingerprint of what it says}.

    Prints what each source holds; UserError where there is none, or one is unusable.
    """
    data = Path(data)
    found = {folder: read_set(data, folder) for folder in folders(data)}
    if not found or any((data / name).is_file() for name in wider.TRAIN_LISTS):
        source = labels.find(data, *wider.TRAIN_LISTS)
        found = {source: wider.read(source, wider.TRAIN_IMAGES), **found}
    for source, images in found.items():
        print(f"{source}: {labels.summary(images, MIN_TRUTH_SIZE)}")
    return ([image for images in found.values() for image in images],
            {source.relative_to(data).as_posix(): labels.fingerprint(images) for source, images in found.items()})


def folders(data: Path) -> list[Path]:
    """The folders of the sets below the data folder."""
    return sorted(folder for folder in (Path(data) / SETS).glob("*") if folder.is_dir())


def read_set(data: Path, folder: Path) -> list[AnnotatedImage]:
    """The images of the set in `folder`, below `data`, in any of the forms. UserError where it is unusable."""
    about = _about(folder / "set.json")
    complete = True
    if (folder / "annotations.txt").is_file():
        found = wider.read(folder / "annotations.txt", (folder / "images").relative_to(data).as_posix())
    else:
        places = [(folder / name, reader) for name, reader in FORMS.items() if (folder / name).exists()]
        places += [(folder / "images", reader) for pattern, reader in BESIDE.items()
                   if not places and next((folder / "images").rglob(pattern), None)]
        if not places:
            raise UserError(f"{folder}: has no annotations.txt, {', '.join(FORMS)}; "
                            "data/README.md says how a set is laid out")
        source, reader = places[0]
        found = labels.collect(source, reader.entries(source, SetImages(data, folder), about.classes))
        complete = reader not in ONE_FACE
    return [replace(image, complete=complete if about.complete is None else about.complete) for image in found]


def _about(path: Path) -> About:
    """A set.json, checked; the defaults where there is none."""
    if not path.is_file():
        return About()
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON ({error}); data/README.md shows one") from None
    if not isinstance(content, dict) or content.keys() - {"complete", "classes"} or not (
            isinstance(content.get("complete", True), bool) and isinstance(content.get("classes", []), list)):
        raise UserError(f'{path}: must look like {{"complete": false, "classes": ["face"]}}, both optional')
    classes = {str(name) for name in content["classes"]} if "classes" in content else None
    return About(content.get("complete"), classes)
