"""Label forms with boxes and points -> the same images, boxes and points."""
import json
import re

import cv2
import numpy as np
import pytest

from config import FACIAL_POINTS, POINTS_BOX
from detection import boxes as bx
from detection.errors import UserError
from preprocess import labels
from preprocess.labels import from_points, sets

WIDTH, HEIGHT = 120, 90
NAN = np.nan
BOXES = {"a": [[10, 20, 40, 60]], "day 1/b": [[0, 0, 30, 30], [50, 40, 80, 90]], "none": []}
FACE = [[20, 32], [32, 31], [26, 40], [21, 50], [31, 51]]
POINTS = {"a": [FACE], "day 1/b": [[[NAN, NAN]] * 5, [[60, 52], [NAN, NAN], [65, 60], [61, 75], [70, 76]]], "none": []}


def make(data, **files):
    """A set with three images; files: name with dots -> text."""
    folder = data / "sets" / "one"
    for image in BOXES:
        path = folder / "images" / f"{image}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def triples(points, missing="-1 -1 -1", flag="0.0"):
    return " ".join(missing if np.isnan(x) else f"{x} {y} {flag}" for x, y in points)


def retinaface():
    return {"label.txt": "".join(f"# {name}.png\n" + "".join(
        f"{x1} {y1} {x2 - x1} {y2 - y1} {triples(points)} 0.82\n"
        for (x1, y1, x2, y2), points in zip(BOXES[name], POINTS[name])) for name in BOXES)}


def labelv2():
    return {"labelv2.txt": "".join(f"# {name}.png {WIDTH} {HEIGHT}\n" + "".join(
        f"{x1} {y1} {x2} {y2} {triples(points)}\n"
        for (x1, y1, x2, y2), points in zip(BOXES[name], POINTS[name])) for name in BOXES)}


def yolo(missing, flag):
    def row(box, points):
        x1, y1, x2, y2 = np.array(box) / np.tile((WIDTH, HEIGHT), 2)
        return (f"0 {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1} "
                f"{triples(np.array(points) / (WIDTH, HEIGHT), missing, flag)}\n")
    return {f"labels/{name}.txt": "".join(map(row, BOXES[name], POINTS[name])) for name in BOXES}


def coco():
    names = list(BOXES)
    things = [{"image_id": n, "category_id": 0, "bbox": [x1, y1, x2 - x1, y2 - y1],
               "keypoints": [v for x, y in points for v in ([0, 0, 0] if np.isnan(x) else [x, y, 2])]}
              for n, name in enumerate(names) for (x1, y1, x2, y2), points in zip(BOXES[name], POINTS[name])]
    return {"annotations.json": json.dumps({
        "images": [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate(names)],
        "categories": [{"id": 0, "name": "face"}], "annotations": things})}


def labelme():
    files = {}
    for name in BOXES:
        shapes = [{"shape_type": "rectangle", "label": "face", "group_id": i, "points": [[x2, y1], [x1, y2]]}
                  for i, (x1, y1, x2, y2) in enumerate(BOXES[name])]
        shapes += [{"shape_type": "point", "label": which, "group_id": i, "points": [place]}
                   for i, points in enumerate(POINTS[name]) for which, place in zip(FACIAL_POINTS, points)
                   if not np.isnan(place).any()]
        files[f"images/{name}.json"] = json.dumps({"shapes": shapes, "imagePath": f"{name}.png"})
    return files


def cvat(points=POINTS):
    def shapes(name):
        for i, (x1, y1, x2, y2) in enumerate(BOXES[name]):
            yield f'<box label="face" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" group_id="{i + 1}"/>'
            if not np.isnan(points[name][i]).any():
                places = ";".join(f"{x},{y}" for x, y in points[name][i])
                yield f'<points label="landmarks" points="{places}" group_id="{i + 1}"/>'
    rows = "".join(f'<image id="0" name="{name}.png" width="120" height="90">{"".join(shapes(name))}</image>'
                   for name in BOXES)
    return {"annotations.xml": f"<annotations>{rows}</annotations>"}


def regions(name):
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    for i, (x1, y1, x2, y2) in enumerate(BOXES[name]):
        yield {"id": f"r{i}", **size, "value": {
            "x": x1 / WIDTH * 100, "y": y1 / HEIGHT * 100, "width": (x2 - x1) / WIDTH * 100,
            "height": (y2 - y1) / HEIGHT * 100, "rotation": 0, "rectanglelabels": ["face"]}}
        for which, (x, y) in zip(FACIAL_POINTS, POINTS[name][i]):
            if not np.isnan(x):
                yield {"parentID": f"r{i}", **size, "value": {
                    "x": x / WIDTH * 100, "y": y / HEIGHT * 100, "width": 0.5, "keypointlabels": [which]}}


def label_studio():
    cancelled = {"was_cancelled": True, "result": []}
    return {"label_studio.json": json.dumps([
        {"id": n, "data": {"image": f"/data/upload/3/{name.rsplit('/')[-1]}.png"},
         "annotations": [cancelled, {"result": list(regions(name))}]} for n, name in enumerate(BOXES)])}


def celeba_points():
    return "1\nlefteye_x ...\na.png  " + " ".join(f"{x} {y}" for x, y in FACE) + "\n"


FIVE = {"retinaface": retinaface, "labelv2": labelv2}       # forms whose points are always those of a face
FORMS = {**FIVE, "yolov5-face": lambda: yolo("-1 -1", ""), "pose of 15 columns": lambda: yolo("0 0", ""),
         "pose of 20 columns": lambda: yolo("0 0 0", "2"), "coco": coco,
         "labelme": labelme}


def read(data):
    return {image.path.removeprefix("sets/one/images/").removesuffix(".png"): image
            for image in sets.read_set(data, data / "sets" / "one")}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_boxes_and_points(tmp_path, form):
    make(tmp_path, **FORMS[form]())
    found = read(tmp_path)
    assert found.keys() == BOXES.keys()
    for name, image in found.items():
        np.testing.assert_allclose(image.boxes, np.reshape(BOXES[name], (-1, 4)), atol=1e-3)
        np.testing.assert_allclose(image.points, np.reshape(POINTS[name], (-1, 5, 2)), atol=1e-3)
        assert not image.invalid.any() and image.complete


@pytest.mark.parametrize("form", FIVE)
def test_a_form_of_five_points_is_refused_where_others_are_trained(tmp_path, form, monkeypatch):
    make(tmp_path, **FORMS[form]())
    monkeypatch.setattr("detection.align.POINTS", ("nose", "chin"))
    with pytest.raises(UserError, match="five points of a face"):
        read(tmp_path)


def test_the_summary_counts_faces_with_landmarks(tmp_path):
    make(tmp_path, **retinaface())
    assert labels.summary(read(tmp_path).values(), 12).endswith(
        "| faces with all landmarks | 1 |\n| faces with only some landmarks | 1 |")


@pytest.mark.parametrize("name, text, invalid", [
    ("label.txt", "# a.png\n10 20 30 40\n", [False]),
    ("labelv2.txt", "# a.png 120 90\n10 20 40 60\n10 20 40 60 1\n", [False, True])])
def test_lists_for_measuring_have_boxes_alone(tmp_path, name, text, invalid):
    make(tmp_path, **{name: text})
    image = read(tmp_path)["a"]
    assert image.boxes.tolist() == [[10, 20, 40, 60]] * len(invalid) and image.invalid.tolist() == invalid
    assert np.isnan(image.points).all()


@pytest.mark.parametrize("name, text, sentence", [
    ("label.txt", "10 20 30 40\n# a.png\n10 20 30 40\n", "label.txt:1: a line `# name` of the image is expected"),
    ("label.txt", "# none.png\n1 2 3\n# a.png\n10 20 30 40\n", "has 3 numbers, where a face has 4 or 20"),
    ("labelv2.txt", "# none.png\n# a.png 120 90\n10 20 40 60\n", "labelv2.txt:1: a line `# name width height`")])
def test_a_broken_block_is_named(tmp_path, capsys, monkeypatch, name, text, sentence):
    monkeypatch.setattr("pipeline.problems.BAD_SHARE", 1.0)
    make(tmp_path, **{name: text})
    assert read(tmp_path).keys() == {"a"}
    assert sentence in capsys.readouterr().out


def test_celeba_gives_one_face_an_image_with_and_without_points(tmp_path):
    folder = make(tmp_path, **{"list_bbox_celeba.txt": "1\nimage_id x_1 y_1 width height\na.png   10  20  30  40\n"})
    image = read(tmp_path)["a"]
    assert image.boxes.tolist() == [[10, 20, 40, 60]] and np.isnan(image.points).all() and not image.complete
    (folder / "list_landmarks_celeba.txt").write_text(celeba_points())
    assert read(tmp_path)["a"].points.tolist() == [FACE]
    (folder / "set.json").write_text('{"complete": true}')
    assert read(tmp_path)["a"].complete


def test_a_celeba_list_without_its_head_is_refused(tmp_path):
    make(tmp_path, **{"list_bbox_celeba.txt": "a.png   10  20  30  40\n"})
    with pytest.raises(UserError, match="does not begin like CelebA's list"):
        read(tmp_path)


def test_a_face_missing_in_celebas_points_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.problems.BAD_SHARE", 1.0)
    make(tmp_path, **{"list_bbox_celeba.txt": "2\nimage_id x_1 y_1 width height\na.png 10 20 30 40\n"
                                              "none.png 10 20 30 40\n", "list_landmarks_celeba.txt": celeba_points()})
    assert read(tmp_path).keys() == {"a"}
    assert "list_bbox_celeba.txt:4: none.png is not in list_landmarks_celeba.txt" in capsys.readouterr().out


def test_mtfl_gives_points_and_the_box_that_they_imply(tmp_path):
    x, y = (np.transpose(FACE) + 1).tolist()
    make(tmp_path, **{"training.txt": f" day 1\\b.png {' '.join(map(str, x + y))} 1 2 2 3\r\n"})
    image = read(tmp_path)["day 1/b"]
    assert image.points.tolist() == [FACE] and not image.complete
    side = image.boxes[0, 2:] - image.boxes[0, :2]
    np.testing.assert_allclose(bx.inner(image.boxes, *POINTS_BOX), from_points.landmark_box(image.points), atol=1e-3)
    assert side[0] == pytest.approx(side[1]) and 2.8 < side[0] / 12 < 5     # of the distance of the eyes, 12 px


@pytest.mark.parametrize("head, tail", [("version: 1\nn_points:  68\n{\n", "}\n"), ("", "")])
def test_ibug_gives_five_of_68_points(tmp_path, head, tail):
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[30], points[48], points[54] = FACE
    points[36:42, 0] += [-3, -1, 1, 3, 1, -1]
    rows = "".join(f"{x + 1} {y + 1}\n" for x, y in points)
    make(tmp_path, **{"images/a.pts": head + rows + tail})
    image = read(tmp_path)["a"]
    np.testing.assert_allclose(image.points, [FACE], atol=1e-4)
    np.testing.assert_allclose(image.boxes, from_points.face_box(image.points), atol=1e-3)
    assert not image.complete


def test_ibug_files_with_other_points_are_named(tmp_path):
    make(tmp_path, **{"images/a.pts": "version: 1\nn_points: 29\n{\n" + "1 2\n" * 29 + "}\n"})
    with pytest.raises(UserError, match="29 points, where this form has 68"):
        read(tmp_path)


def test_coco_points_of_another_number_are_left_out_and_counted(tmp_path, capsys):
    folder = make(tmp_path, **coco())
    content = json.loads((folder / "annotations.json").read_text())
    content["annotations"][0]["keypoints"] *= 3
    (folder / "annotations.json").write_text(json.dumps(content))
    assert np.isnan(read(tmp_path)["a"].points).all()
    assert "1 boxes have another number of points than the 5" in capsys.readouterr().out


def test_cvat_gives_boxes_and_the_points_grouped_with_them(tmp_path):
    make(tmp_path, **cvat())
    found = read(tmp_path)
    for name, boxes in BOXES.items():
        np.testing.assert_array_equal(found[name].boxes, np.reshape(boxes, (-1, 4)))
    assert found["a"].points.tolist() == [FACE] and np.isnan(found["day 1/b"].points).all()


def test_cvat_keeps_images_of_one_name_in_two_subsets_apart(tmp_path):
    text = ('<annotations><image name="a.png" subset="day 2"/><image name="a.png"><box label="face" xtl="10" ytl="20" '
            'xbr="40" ybr="60"/></image></annotations>')
    folder = make(tmp_path, **{"annotations.xml": text})
    (folder / "images" / "day 2").mkdir()
    (folder / "images" / "day 2" / "a.png").write_bytes((folder / "images" / "a.png").read_bytes())
    assert {name: len(image.boxes) for name, image in read(tmp_path).items()} == {"a": 1, "day 2/a": 0}


def test_a_rotated_box_of_cvat_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.problems.BAD_SHARE", 1.0)
    text = cvat()["annotations.xml"].replace('xtl="10"', 'rotation="30" xtl="10"')
    make(tmp_path, **{"annotations.xml": text})
    assert "a" not in read(tmp_path)
    assert "holds a rotated box" in capsys.readouterr().out


def test_label_studio_gives_boxes_and_points_of_both_exports(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.problems.BAD_SHARE", 1.0)     # no address names a folder, as day 1/b needs
    folder = make(tmp_path, **label_studio())
    image = read(tmp_path)["a"]
    np.testing.assert_allclose(image.boxes, BOXES["a"], atol=1e-3)
    np.testing.assert_allclose(image.points, [FACE], atol=1e-3)
    flat = [{**region, **region.pop("value")} for region in regions("a")]
    small = [{"id": 7, "image": "/data/upload/3/1a2b3c4d-a.png", "label": flat[:1], "points": [
        {key: value for key, value in each.items() if key != "parentID"} for each in flat[1:]]}]
    (folder / "label_studio.json").write_text(json.dumps(small))
    np.testing.assert_allclose(read(tmp_path)["a"].boxes, BOXES["a"], atol=1e-3)
    np.testing.assert_allclose(read(tmp_path)["a"].points, [FACE], atol=1e-3)


def test_tasks_to_import_into_label_studio_need_no_id(tmp_path):
    tasks = [{"data": {"image": "/data/local-files/?d=images/a.png"}, "annotations": [{"result": list(regions("a"))}]}]
    make(tmp_path, **{"label_studio.json": json.dumps(tasks)})
    np.testing.assert_allclose(read(tmp_path)["a"].boxes, BOXES["a"], atol=1e-3)


def test_a_rotated_rectangle_of_label_studio_gives_the_box_around_it(tmp_path):
    region = next(regions("a"))
    region["value"]["rotation"] = 90        # clockwise around the upper left corner (10, 20): 30 x 40 px lie left of it
    region["value"]["x"] = 50 / WIDTH * 100
    make(tmp_path, **{"label_studio.json": json.dumps(
        [{"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": [region]}]}])})
    np.testing.assert_allclose(read(tmp_path)["a"].boxes, [[10, 20, 50, 50]], atol=1e-3)


def without_boxes(form):
    """The file of a form with the points of the image a, and without boxes."""
    if form == "coco":
        content = json.loads(coco()["annotations.json"])
        content["annotations"] = [{**thing, "bbox": [0, 0, 0, 0]} for thing in content["annotations"][:1]]
        return {"annotations.json": json.dumps(content)}
    if form == "cvat":
        return {"annotations.xml": re.sub("<box.*?/>", "", cvat()["annotations.xml"]).replace('group_id="1"', "")}
    if form == "cvat skeletons":
        return {"annotations.xml": f'<annotations><image name="a.png" width="120" height="90">{skeleton()}</image>'
                                   "</annotations>"}
    tasks = json.loads(label_studio()["label_studio.json"])[:1]
    tasks[0]["annotations"][1]["result"] = [{key: value for key, value in region.items() if key != "parentID"}
                                            for region in regions("a") if "keypointlabels" in region["value"]]
    return {"label_studio.json": json.dumps(tasks)}


@pytest.mark.parametrize("form", ["coco", "cvat", "cvat skeletons", "label studio"])
def test_points_without_boxes_give_the_boxes_that_they_imply(tmp_path, capsys, monkeypatch, form):
    monkeypatch.setattr("pipeline.problems.BAD_SHARE", 1.0)     # of day 1/b, some points are missing
    make(tmp_path, **without_boxes(form))
    image = read(tmp_path)["a"]
    np.testing.assert_allclose(image.points, [FACE], atol=1e-3)
    np.testing.assert_allclose(image.boxes, from_points.face_box(image.points), atol=1e-3)
    assert "1 images have points and no boxes; their boxes are made of the points" in capsys.readouterr().out


def test_a_skeleton_of_cvat_belongs_to_the_box_of_its_group(tmp_path):
    text = cvat()["annotations.xml"]
    start, end = text.index("<points"), text.index("/>", text.index("<points")) + 2
    make(tmp_path, **{"annotations.xml": text[:start] + skeleton("nose", 1) + text[end:]})
    points = read(tmp_path)["a"].points
    assert np.isnan(points[0, 2]).all() and points[0, [0, 1, 3, 4]].tolist() == [FACE[i] for i in (0, 1, 3, 4)]


def skeleton(missing="", group="0"):
    return f'<skeleton label="face" group_id="{group}">' + "".join(
        f'<points label="{which}" outside="{int(which == missing)}" points="{x},{y}"/>'
        for which, (x, y) in zip(FACIAL_POINTS, FACE)) + "</skeleton>"


PLACES = '<points label="landmarks" points="{}"/>'
BOX = '<box label="face" xtl="10" ytl="20" xbr="40" ybr="60" group_id="{}"/>'


@pytest.mark.parametrize("shapes, sentence", [
    (skeleton("nose"), "a face without a box lacks some of its 5 points"),
    (skeleton() + skeleton("nose"), "a face without a box lacks some of its 5 points"),
    (PLACES.format("20,32;32,31;26,40;21,50"), "a face without a box lacks some of its 5 points"),
    (BOX.format(1) + skeleton(), "0 boxes are left for the skeleton of group 0"),
    (BOX.format(0) * 2 + skeleton("nose"), "2 boxes are left for the skeleton of group 0"),
    (BOX.format(1) + skeleton(group=1) * 2, "0 boxes are left for the skeleton of group 1"),
    (BOX.format(1) + PLACES.format("20,32;32,31;26,40;21,50;31,51"), "0 boxes are left for the points of group 0")])
def test_points_of_cvat_that_are_no_whole_face_and_have_no_box_are_named(tmp_path, capsys, monkeypatch, shapes,
                                                                         sentence):
    """Else the image would count as one without that face."""
    monkeypatch.setattr("pipeline.problems.BAD_SHARE", 1.0)
    text = cvat()["annotations.xml"].replace("</annotations>", "")
    make(tmp_path, **{"annotations.xml": re.sub(
        '(name="none.png"[^>]*>)', rf"\1{shapes}", text) + "</annotations>"})
    assert read(tmp_path).keys() == {"a", "day 1/b"}
    assert f"none.png: {sentence}" in capsys.readouterr().out


def test_points_of_cvat_belong_to_the_only_box_where_nothing_is_grouped_and_other_shapes_are_left_out(tmp_path):
    text = f'<image name="a.png">{BOX.format(0)}{skeleton("nose")}</image>' \
           f'<image name="none.png">{PLACES.format("1,2").replace("landmarks", "tree")}</image>'
    make(tmp_path, **{"annotations.xml": f"<annotations>{text}</annotations>"})
    found = read(tmp_path)
    assert np.isnan(found["a"].points[0, 2]).all() and np.isfinite(found["a"].points[0, [0, 1, 3, 4]]).all()
    assert not len(found["none"].boxes)


def test_a_point_of_labelme_without_its_rectangle_is_named(tmp_path):
    shapes = [{"shape_type": "point", "label": "nose", "group_id": 3, "points": [[1, 2]]}]
    make(tmp_path, **{"images/a.json": json.dumps({"shapes": shapes})})
    with pytest.raises(UserError, match="the point nose of group 3 fits 0 rectangles"):
        read(tmp_path)
