"""Label files of all forms about the same faces, for tests and for tests/label_campaign.py: right ones, and wrong ones
made of them."""
import json
from dataclasses import dataclass, field, replace

import numpy as np

from config import FACIAL_POINTS
from detection.align import TEMPLATE

CLASS = "face"


@dataclass
class Label:
    """What a label file will say of one image. rows: the four numbers of each box, in the form's layout and unit;
    points: (5, 2) of each, in the same unit."""
    name: str
    size: tuple[float, float]
    rows: list[list[float]]
    points: list[np.ndarray]
    classes: list[str] = field(default_factory=list)


def scene(rng, count=40, one_face=False):
    """-> [(name, (width, height), boxes (N, 4), points (N, 5, 2))] px: upright faces anywhere, images of some sizes."""
    found = []
    for i in range(count):
        width, height = [(640, 480), (480, 640), (800, 600), (500, 500), (1024, 683)][rng.integers(5)]
        boxes = []
        for _ in range(1 if one_face else rng.integers(1, 5)):
            w = float(np.clip(np.exp(rng.normal(4.2, 0.6)), 16, 0.45 * min(width, height)))
            h = min(w * 1.2 * float(np.exp(rng.normal(0, 0.15))), 0.6 * min(width, height))     # 0.15: as WIDER FACE's
            x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
            boxes.append(np.round([x, y, x + w, y + h], 1))
        boxes = np.array(boxes)
        side = boxes[:, None, 2:] - boxes[:, None, :2]
        points = boxes[:, None, :2] + side * (TEMPLATE / 112 + rng.normal(0, 0.02, (len(boxes), 5, 2)))
        found.append((f"{i:03d}.png", (width, height), boxes, points))
    return found


def png(size):
    """The head of a PNG of this size: all that is read of an image for its size."""
    width, height = size
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"


LAYOUTS = {"x1 y1 x2 y2": lambda b: b, "x y w h": lambda b: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]]),
           "center w h": lambda b: np.hstack([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]]),
           "x1 x2 y1 y2": lambda b: b[:, [0, 2, 1, 3]], "y1 x1 y2 x2": lambda b: b[:, [1, 0, 3, 2]]}


def labels(scenes, form):
    """Scenes -> Labels as this form writes them."""
    layout, unit, first = FORMS[form][1:4]
    found = []
    for name, size, boxes, points in scenes:
        whole = {"pixels": np.ones(2), "shares": np.array(size), "percent": np.array(size) / 100}[unit]
        boxes = boxes + np.array([first, first, 0, 0])
        found.append(Label(name, size, (LAYOUTS[layout](boxes) / np.tile(whole, 2)).tolist(),
                           [(each + (first if unit == "pixels" and form in ("mtfl", "ibug") else 0)) / whole
                            for each in points], [CLASS] * len(boxes)))
    return found


def _numbers(values):
    return " ".join(f"{value:.10g}" for value in np.ravel(values) if not np.isnan(value))


def _keys(names, values):
    """As many keys as there are values: a lost number is a lost key."""
    return dict(zip(names, values))


def voc(found):
    files = {}
    for label in found:
        things = "".join(f"<object><name>{kind}</name><bndbox>" + "".join(
            f"<{key}>{value:.10g}</{key}>" for key, value in _keys(("xmin", "ymin", "xmax", "ymax"), row).items())
            + "</bndbox></object>" for row, kind in zip(label.rows, label.classes))
        files[f"annotations/{label.name.rsplit('.', 1)[0]}.xml"] = (
            f"<annotation><filename>{label.name}</filename><size><width>{label.size[0]}</width><height>{label.size[1]}"
            f"</height></size>{things}</annotation>")
    return files


def coco(found):
    kinds = sorted({kind for label in found for kind in label.classes})
    return {"annotations.json": json.dumps({
        "images": [{"id": i, "file_name": label.name, "width": label.size[0], "height": label.size[1]}
                   for i, label in enumerate(found)],
        "categories": [{"id": i, "name": kind} for i, kind in enumerate(kinds)],
        "annotations": [{"id": 1, "image_id": i, "category_id": kinds.index(kind), "bbox": list(row)}
                        for i, label in enumerate(found) for row, kind in zip(label.rows, label.classes)]})}


def yolo(found):
    return {f"labels/{label.name.rsplit('.', 1)[0]}.txt": "".join(
        f"{0 if kind == CLASS else 1} {_numbers(row)}\n" for row, kind in zip(label.rows, label.classes))
        for label in found}


def official(found):
    return {"annotations.txt": "".join(f"{label.name}\n{len(label.rows)}\n" + "".join(
        f"{_numbers(row)} 0 0 0 0 0 0\n" for row in label.rows) for label in found)}


def one_line(found):
    return {"annotations.txt": "".join(f"{label.name} {' '.join(map(_numbers, label.rows))}\n" for label in found)}


def _flagged(points):
    return " ".join(f"{_numbers(place)} 0.0" for place in points)


def retinaface(found):
    return {"label.txt": "".join(f"# {label.name}\n" + "".join(
        f"{_numbers(row)} {_flagged(points)} 0.8\n" for row, points in zip(label.rows, label.points))
        for label in found)}


def labelv2(found):
    return {"labelv2.txt": "".join(f"# {label.name} {label.size[0]} {label.size[1]}\n" + "".join(
        f"{_numbers(row)} {_flagged(points)}\n" for row, points in zip(label.rows, label.points))
        for label in found)}


def celeba(found):
    return {"list_bbox_celeba.txt": f"{len(found)}\nimage_id x_1 y_1 width height\n" + "".join(
        f"{label.name} {_numbers(label.rows[0])}\n" for label in found),
            "list_landmarks_celeba.txt": f"{len(found)}\nlefteye_x ...\n" + "".join(
        f"{label.name} {_numbers(label.points[0])}\n" for label in found)}


def mtfl(found):
    return {"training.txt": "".join(f" {label.name} {_numbers(np.reshape(label.points[0], (5, 2)).T)} 1 2 2 3\n"
                                    for label in found)}


def ibug(found):
    files = {}
    for label in found:
        points = np.zeros((68, 2))
        points[36:42], points[42:48], points[30], points[48], points[54] = np.reshape(label.points[0], (5, 2))
        rows = "".join(f"{_numbers(point)}\n" for point in points)
        files[f"images/{label.name.rsplit('.', 1)[0]}.pts"] = "version: 1\nn_points: 68\n{\n" + rows + "}\n"
    return files


def cvat(found):
    text = ""
    for i, label in enumerate(found):
        boxes = "".join(f'<box label="{kind}" group_id="{n + 1}" ' + " ".join(
            f'{key}="{value:.10g}"' for key, value in _keys(("xtl", "ytl", "xbr", "ybr"), row).items()) + "/>"
            f'<points group_id="{n + 1}" points="{";".join(f"{x},{y}" for x, y in points)}"/>'
            for n, (row, kind, points) in enumerate(zip(label.rows, label.classes, label.points)))
        text += f'<image id="{i}" name="{label.name}" width="{label.size[0]}" height="{label.size[1]}">{boxes}</image>'
    return {"annotations.xml": f"<annotations>{text}</annotations>"}


def labelme(found):
    files = {}
    for label in found:
        shapes = [{"shape_type": "rectangle", "label": kind, "group_id": i, "points": [list(row[:2]), list(row[2:])]}
                  for i, (row, kind) in enumerate(zip(label.rows, label.classes))]
        shapes += [{"shape_type": "point", "label": which, "group_id": i, "points": [list(place)]}
                   for i, points in enumerate(label.points) for which, place in zip(FACIAL_POINTS, points)]
        files[f"images/{label.name.rsplit('.', 1)[0]}.json"] = json.dumps(
            {"shapes": shapes, "imagePath": label.name, "imageWidth": label.size[0], "imageHeight": label.size[1]})
    return files


def label_studio(found):
    tasks = []
    for i, label in enumerate(found):
        size = {"original_width": label.size[0], "original_height": label.size[1]}
        regions = [{"id": f"r{n}", **size, "value": {**_keys(("x", "y", "width", "height"), row), "rotation": 0,
                                                     "rectanglelabels": [kind]}}
                   for n, (row, kind) in enumerate(zip(label.rows, label.classes))]
        regions += [{"parentID": f"r{n}", **size, "value": {"x": x, "y": y, "keypointlabels": [which]}}
                    for n, points in enumerate(label.points) for which, (x, y) in zip(FACIAL_POINTS, points)]
        tasks.append({"id": i, "data": {"image": f"/data/upload/1a2b3c4d-{label.name}"},
                      "annotations": [{"result": regions}]})
    return {"label_studio.json": json.dumps(tasks)}


# form -> (writer, layout, unit, number of the first pixel, one face an image)
FORMS = {"voc": (voc, "x1 y1 x2 y2", "pixels", 1, False), "coco": (coco, "x y w h", "pixels", 0, False),
         "yolo": (yolo, "center w h", "shares", 0, False), "official": (official, "x y w h", "pixels", 0, False),
         "one-line": (one_line, "x1 y1 x2 y2", "pixels", 0, False),
         "retinaface": (retinaface, "x y w h", "pixels", 0, False),
         "labelv2": (labelv2, "x1 y1 x2 y2", "pixels", 0, False),
         "celeba": (celeba, "x y w h", "pixels", 0, True), "mtfl": (mtfl, "x1 y1 x2 y2", "pixels", 1, True),
         "ibug": (ibug, "x1 y1 x2 y2", "pixels", 1, True), "cvat": (cvat, "x1 y1 x2 y2", "pixels", 0, False),
         "labelme": (labelme, "x1 y1 x2 y2", "pixels", 0, False),
         "label studio": (label_studio, "x y w h", "percent", 0, False)}
WITH_SIZE = "voc", "coco", "labelv2", "cvat", "labelme", "label studio"     # forms that state the sizes of images
WITH_BOXES = tuple(form for form in FORMS if form not in ("mtfl", "ibug"))
WITH_CLASSES = "voc", "coco", "yolo", "cvat", "labelme", "label studio"


def write(data, scenes, files, name="one"):
    """A set with the images of the scenes and these files -> its folder."""
    folder = data / "sets" / name
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for image, size, *_ in scenes:
        (folder / "images" / image).write_bytes(png(size))
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def change(found, rows=None, points=None, **fields):
    """Labels with rows and points replaced by functions of them, and other fields by functions of the label."""
    return [replace(label, rows=[list(rows(np.array(row), label)) for row in label.rows] if rows else label.rows,
                    points=[points(each, label) for each in label.points] if points else label.points,
                    **{name: make(label) for name, make in fields.items()}) for label in found]
