"""The images to train on: WIDER FACE, and every further set in <data>/sets, whatever its form.

A set is a folder with images and label files, as the tools export them: the images in `images/`, in other folders or
beside their labels; the labels in one of these forms, which the names and the first bytes of the files show:

    *.xml                   Pascal VOC, a file per image, of the same name; or CVAT's export `CVAT for images`
    *.txt                   YOLO, a file per image: `class x y w h` a line, center and size as shares of the image
    *.json                  COCO; Label Studio's export JSON or JSON-MIN; or Labelme, a file per image
    annotations.txt         WIDER FACE's official or one-line form
    label.txt               RetinaFace's list, with points
    labelv2.txt             SCRFD's and YuNet's list, with points
    list_bbox_celeba.txt    CelebA's list, and list_landmarks_celeba.txt with points beside it
    training.txt            MTFL's list: points, of which boxes are made
    *.pts                   iBUG's 68 points, a file per image, of the same name
    set.json                optional: SETTINGS
"""
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

from config import MIN_TRUTH_SIZE
from detection.errors import UserError
from preprocess import labels
from preprocess.labels import (
    AnnotatedImage,
    BadLabel,
    annotate,
    attempt,
    celeba,
    checks,
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
from preprocess.labels.packed import Packed
from preprocess.labels.set_files import SetFiles, shown

SETS = "sets"
NAMED = {**{Path(name).name: wider for name in ("annotations.txt", *wider.TRAIN_LISTS)}, "label.txt": retinaface,
         "labelv2.txt": labelv2, "list_bbox_celeba.txt": celeba, "training.txt": mtfl, "annotations.json": coco,
         "annotations.xml": cvat, "label_studio.json": label_studio}
FORMS = wider, coco, voc, yolo, retinaface, labelv2, celeba, mtfl, cvat, label_studio, labelme, ibug    # first counts
SETTINGS = {        # of set.json: key -> (type, meaning)
    "complete": (bool, "whether every face is labeled; else no background is cut from these images. Default: true, but "
                       "false for the forms that label one face an image: CelebA, MTFL and iBUG"),
    "classes": (list, "names, for YOLO also numbers, of what counts as a face; boxes of other classes are left out. "
                      "Needed where there are several"),
    "background": (bool, "whether images without a label show no face; else they are not used. Default: false"),
    "layout": (str, "of the four numbers of a box, where the labels are misunderstood: " + ", ".join(checks.LAYOUTS)),
    "unit": (str, "of these numbers: " + ", ".join(checks.UNITS))}
HEAD = 4096         # bytes at both ends of a JSON or XML file that show its form


def training(data: Path) -> tuple[Sequence[AnnotatedImage], dict[str, str]]:
    """Data folder -> all images to train on, and {file or folder: fingerprint of what it says}.

    Prints what each source holds; UserError where there is none, or one is unusable.
    """
    data = Path(data)
    found = {folder: read_set(data, folder) for folder in folders(data)}
    if not found or any((data / name).is_file() for name in wider.TRAIN_LISTS):
        source = labels.find(data, *wider.TRAIN_LISTS)
        images = wider.read(source, wider.TRAIN_IMAGES, data)
        print(f"{source}:\n{labels.summary(images, MIN_TRUTH_SIZE)}")
        found = {source: images, **found}
    images = list(found.values())
    return (images[0] if len(images) == 1 else Packed(chain(*images)),
            {source.relative_to(data).as_posix(): labels.fingerprint(images) for source, images in found.items()})


def folders(data: Path) -> list[Path]:
    """The folders of the sets below the data folder."""
    return sorted(folder for folder in (Path(data) / SETS).glob("*") if folder.is_dir())


def read_set(data: Path, folder: Path) -> Sequence[AnnotatedImage]:
    """The images of the set in `folder`, below `data`, in any of the forms. Prints what it holds; UserError where it is
    unusable."""
    settings, files = _settings(folder / "set.json"), SetFiles(data, folder)
    reader, paths = _form(files)
    files.require_images()
    form = wider.parse(paths[0])[0] if reader is wider else reader.FORM
    source = paths[0] if len(paths) == 1 and not form.per_file else folder
    wanted = {str(name) for name in settings["classes"]} if "classes" in settings else None
    names = _class_names(files) if reader is yolo else {}
    bases, sayings, labeled = {}, [], set()
    for path in paths:
        inside = path.relative_to(folder)
        for where, saying in wider.parse(path)[1] if reader is wider else reader.entries(path):
            bases[where] = inside.parent.as_posix()
            if form.per_file:
                where, of_image = inside.as_posix(), (files.name_beside(inside), *saying.names[1:])
                if not isinstance(saying, BadLabel):
                    saying = replace(saying, names=of_image)
                elif files.meant(of_image):
                    saying.names = of_image
                else:
                    files.leave_out(f"{inside.suffix} files of other programs", where)
                    continue
                bases[where] = ""
            elif len(paths) > 1:
                where = f"{inside.as_posix()}:{where}"
                bases[where] = inside.parent.as_posix()
            if names and not isinstance(saying, BadLabel):
                saying = replace(saying, classes=[names.get(number, number) for number in saying.classes])
            sayings.append((where, saying))

    def locate(name: str, where: object) -> checks.Place:
        place = files.locate(name, bases[where])
        labeled.add(place.path)
        return place

    given = None
    if settings.keys() & {"layout", "unit"}:
        given = checks.Reading(settings.get("layout", form.layout), settings.get("unit", form.unit), first=form.first)
    entries, facts = checks.resolve(source, form, sayings, locate,
                                    wanted and {names.get(name, name) for name in wanted}, given)
    skipped = Counter()
    images = labels.collect(source, entries, skipped, form.one_face)
    complete = settings.get("complete", not form.one_face)
    images = Packed(replace(image, complete=complete) for image in images)
    for where, saying in sayings:           # an image is labeled, too, whose label cannot be used
        labeled.update(map(files.path, files.meant(saying.names, bases[where])))
    unlabeled = [path for path in map(files.path, files.images) if path not in labeled]
    if settings.get("background"):
        for image in (attempt(annotate, each, []) for each in unlabeled):
            if not isinstance(image, BadLabel):
                images.append(image)
    elif unlabeled:
        files.left_out["images without a label"] += len(unlabeled)
        print(f"{folder}: {len(unlabeled)} images without a label are not used, such as {shown(unlabeled[0])}; if they "
              'show no face, say so in set.json: {"background": true}')
    first = [("form", form.name)] + [("boxes", f"{facts.reading}")] * (facts.reading is not None)
    print(f"{folder}:\n{labels.summary(images, MIN_TRUTH_SIZE, first, facts.classes, skipped, files.left_out)}")
    return images


def _form(files: SetFiles) -> tuple[ModuleType, list[Path]]:
    """The reader of a set and its label files; what else there is is counted. UserError where there are none."""
    found = defaultdict(list)
    for path in files.others:
        found[_reader(path)].append(path)
    inside = [path.relative_to(files.folder) for path in found[yolo]]
    alone = not any(found[form] for form in FORMS if form is not yolo)
    if not any(files.meant([files.name_beside(path)]) or alone and "labels" in path.parts for path in inside):
        found[None] += found.pop(yolo)
    reader = next((form for form in FORMS if found.get(form)), None)
    for form, paths in found.items():
        for path in paths if form is None or form is not reader else ():
            if path.name != "set.json":
                files.leave_out("other files" if form is None else f"label files of another form, {_name(form)}",
                                path.relative_to(files.folder).as_posix())
    if reader is None:
        other = ", ".join(files.named.get("other files", []))
        raise UserError(f"{files.folder}: has no annotations.txt, and no labels in another form that is known"
                        f"{f'; it has {other}' if other else ''}. data/README.md says how a set is laid out")
    return reader, found[reader]


def _name(reader: ModuleType) -> str:
    return "WIDER FACE's lists" if reader is wider else reader.FORM.name


def _reader(path: Path) -> ModuleType | None:
    """The form that the name or the ends of a file show; None for other files."""
    if path.name in NAMED:
        return NAMED[path.name]
    if path.suffix in (".pts", ".txt"):
        return ibug if path.suffix == ".pts" else yolo
    if path.suffix not in (".xml", ".json"):
        return None
    with open(path, "rb") as file:
        text = file.read(HEAD)
        file.seek(max(path.stat().st_size - HEAD, 0))
        text += file.read()
    text = text.replace(b"\0", b"")                 # of UTF-16
    if path.suffix == ".xml":
        return cvat if b"<annotations" in text else voc
    if text.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"["):
        return label_studio if b'"id"' in text else None
    if any(key in text for key in (b'"shapes"', b'"imagePath"', b'"imageData"')):
        return labelme
    return coco if any(key in text for key in (b'"images"', b'"annotations"', b'"categories"')) and \
        path.name != "notes.json" else None


def _class_names(files: SetFiles) -> dict[str, str]:
    """Number of a class of YOLO -> its name, where a file of the set says so."""
    for name in yolo.NAMES:
        for path in files.others:
            if path.name == name:
                return yolo.class_names(path)
    return {}


def _settings(path: Path) -> dict[str, Any]:
    """A set.json, checked; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON ({error}); data/README.md shows one") from None
    if not isinstance(content, dict) or not all(key in SETTINGS and isinstance(value, SETTINGS[key][0])
                                                for key, value in content.items()):
        raise UserError(f'{path}: must look like {{"complete": false, "classes": ["face"]}}; its keys are '
                        f"{', '.join(SETTINGS)}, all optional")
    for key, known in (("layout", checks.LAYOUTS), ("unit", checks.UNITS)):
        if key in content and content[key] not in known:
            raise UserError(f"{path}: {key} must be one of {', '.join(known)}, not {content[key]}")
    return content
