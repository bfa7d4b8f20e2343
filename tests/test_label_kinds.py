"""What only a whole label file shows - units, corners or sizes, classes, the order of points - in every form."""
import json
import re

import numpy as np
import pytest

import label_files as lf
from detection.errors import UserError
from preprocess.labels import landmarks, sets, wider, yolo


def rng():
    return np.random.default_rng(3)


def read(tmp_path, form, scenes, found, **files):
    folder = lf.write(tmp_path, scenes, {**lf.FORMS[form][0](found), **files})
    return {image.path.rsplit("/", 1)[1]: image for image in sets.read_set(tmp_path, folder)}


def same(images, scenes, atol=0.2):
    for name, _, boxes, _ in scenes:
        np.testing.assert_allclose(images[name].boxes, boxes, atol=atol)


def made(form, count=40):
    scenes = lf.scene(rng(), count, lf.FORMS[form][4])
    return scenes, lf.labels(scenes, form)


@pytest.mark.parametrize("form", lf.FORMS)
def test_right_files_are_read_without_a_word(tmp_path, capsys, form):
    scenes, found = made(form)
    images = read(tmp_path, form, scenes, found)
    if form in lf.WITH_BOXES:
        same(images, scenes)
    out = capsys.readouterr().out
    assert "warning" not in out and "are read" not in out and "skipped" not in out


@pytest.mark.parametrize("layout", ["x1 y1 x2 y2", "x y w h", "center w h"])
@pytest.mark.parametrize("unit", ["pixels", "shares", "percent"])
@pytest.mark.parametrize("form", ["voc", "coco", "yolo", "one-line", "celeba", "labelv2", "label studio"])
def test_other_layouts_and_units_are_found_from_all_boxes(tmp_path, capsys, form, layout, unit):
    scenes, found = made(form)
    for label, (_, size, boxes, _) in zip(found, scenes):
        whole = {"pixels": np.ones(2), "shares": np.array(size), "percent": np.array(size) / 100}[unit]
        label.rows = (lf.LAYOUTS[layout](boxes) / np.tile(whole, 2)).tolist()
    same(read(tmp_path, form, scenes, found), scenes, 1.1)
    own = lf.FORMS[form][1:3] == (layout, unit)
    assert ("are read as" in capsys.readouterr().out) != own


@pytest.mark.parametrize("form", lf.WITH_BOXES)
def test_a_file_in_which_half_of_the_boxes_are_in_another_layout_is_refused_or_warned_of(tmp_path, capsys, form):
    scenes, found = made(form)
    other = "x y w h" if lf.FORMS[form][1] != "x y w h" else "x1 y1 x2 y2"
    for label, (_, size, boxes, _) in list(zip(found, scenes))[::2]:
        whole = {"pixels": np.ones(2), "shares": np.array(size), "percent": np.array(size) / 100}[lf.FORMS[form][2]]
        label.rows = (lf.LAYOUTS[other](boxes) / np.tile(whole, 2)).tolist()
    try:
        read(tmp_path, form, scenes, found)
    except UserError:
        return
    assert "warning: " in capsys.readouterr().out


@pytest.mark.parametrize("form", lf.WITH_CLASSES)
def test_several_classes_have_to_be_chosen_and_a_name_has_to_occur(tmp_path, form):
    scenes, found = made(form)
    noses = lf.change(found, classes=lambda label: [lf.CLASS, *["nose"] * (len(label.rows) - 1)])
    number = str(sum(len(label.rows) for label in found) - len(found))
    with pytest.raises(UserError, match=rf"2 classes: .*\({number} boxes\).*set\.json"):
        read(tmp_path, form, scenes, noses)
    name = "0" if form == "yolo" else lf.CLASS
    images = read(tmp_path, form, scenes, noses, **{"set.json": json.dumps({"classes": [name]})})
    assert all(len(image.boxes) == 1 for image in images.values())
    with pytest.raises(UserError, match=rf"no class fase.*it has .*{name} \({len(found)} boxes\)"):
        read(tmp_path, form, scenes, noses, **{"set.json": '{"classes": ["fase"]}'})


@pytest.mark.parametrize("text", ["names: [face, nose]\nnc: 2\n", "names:\n- face\n- 'nose'\n",
                                  "nc: 2\nnames:\n  0: face   # yes\n  1: nose\ntrain: images\n",
                                  "names: {0: face, 1: nose}\n"])
def test_yolo_classes_have_the_names_of_data_yaml(tmp_path, text):
    scenes, found = made("yolo")
    noses = lf.change(found, classes=lambda label: [lf.CLASS, *["nose"] * (len(label.rows) - 1)])
    for chosen in (["face"], [0]):
        settings = json.dumps({"classes": chosen})
        images = read(tmp_path, "yolo", scenes, noses, **{"data.yaml": text, "set.json": settings})
        assert all(len(image.boxes) == 1 for image in images.values())
    with pytest.raises(UserError, match="no class fase.*it has .*nose"):
        read(tmp_path, "yolo", scenes, noses, **{"data.yaml": text, "set.json": '{"classes": ["fase"]}'})


@pytest.mark.parametrize("text", ["names: ['face', 'nose, worn']\n", 'names: [face, "nose, worn"]   # two\n',
                                  "names: {0: face, 1: 'nose, worn'}\n",
                                  "names: [\n  'face', 'nose, worn',\n]\nnc: 2\n"])
def test_a_name_in_quotes_may_hold_a_comma(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text)
    assert yolo.class_names(tmp_path / "data.yaml") == {"0": "face", "1": "nose, worn"}


@pytest.mark.parametrize("name", ["classes.txt", "obj.names"])
def test_names_of_classes_have_the_number_of_their_line_and_a_blank_one_before_them_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text("face\r\nnose \r\n\r\n\r\n")
    assert yolo.class_names(path) == {"0": "face", "1": "nose"}
    for text in ("face\n\nnose\n", "\nface\nnose\n", "face\n \nnose"):
        path.write_text(text)
        with pytest.raises(UserError, match=rf"{name}: its line [12] is blank"):
            yolo.class_names(path)


@pytest.mark.parametrize("first", [0, 1])
def test_voc_pixels_are_counted_from_0_where_corners_are_0(tmp_path, capsys, first):
    scenes, found = made("voc")
    for label, (_, _, boxes, _) in zip(found, scenes):
        boxes[0] = np.round(boxes[0] - np.tile(boxes[0, :2], 2))
        label.rows = (boxes + [first, first, 0, 0]).tolist()
    same(read(tmp_path, "voc", scenes, found), scenes)
    assert ("counted from 0, not from 1" in capsys.readouterr().out) == (first == 0)


def landmark_list(scenes, points=lambda each: each):
    return "".join(f"{name} {box[0]} {box[2]} {box[1]} {box[3]} {' '.join(map(str, np.ravel(points(each))))}\n"
                   for name, _, (box, *_), (each, *_) in scenes)


@pytest.mark.parametrize("points, said", [
    (lambda each: each, None), (np.transpose, "x .. y .."), (lambda each: each[[1, 0, 2, 4, 3]], "right eye, left eye"),
    (lambda each: each[[2, 0, 1, 3, 4]], "nose, left eye"),
    (lambda each: np.where(np.eye(5)[:, :1] > 0, -1, each), None)])
def test_the_order_of_landmarks_is_found_from_all_faces(tmp_path, capsys, points, said):
    scenes = lf.scene(rng(), 40, True)
    path = tmp_path / "list.txt"
    path.write_text(landmark_list(scenes, points))
    lf.write(tmp_path, scenes, {})
    for image, (*_, truth) in zip(landmarks.read(path), scenes):
        known = np.isfinite(image.points)
        np.testing.assert_allclose(image.points[known], truth[known], atol=0.01)
        assert known.all() == (points(np.ones((5, 2))) == 1).all()
    out = capsys.readouterr().out
    assert said in out if said else "are read" not in out


def test_landmarks_of_no_face_are_refused(tmp_path):
    scenes = lf.scene(rng(), 40, True)
    path = tmp_path / "list.txt"
    noise = rng()
    path.write_text(landmark_list(scenes, lambda each: noise.permutation(each)))
    with pytest.raises(UserError, match="landmarks are not those of upright faces"):
        landmarks.read(path)


def test_landmarks_in_shares_of_the_image_are_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("preprocess.labels.checks.SAMPLED", 8)         # a few images decide, all are converted
    scenes = lf.scene(rng(), 40, True)
    lf.write(tmp_path, scenes, {})
    shares = [(f"sets/one/images/{name}", size, boxes, points / size) for name, size, boxes, points in scenes]
    path = tmp_path / "list.txt"
    path.write_text(landmark_list(shares))
    for image, (*_, truth) in zip(landmarks.read(path, tmp_path), scenes):
        np.testing.assert_allclose(image.points, truth, atol=0.01)
    assert "are read in shares" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["mtfl", "ibug"])
@pytest.mark.parametrize("whole", [1, 100])
def test_points_without_boxes_in_another_unit_are_read(tmp_path, capsys, form, whole):
    scenes, found = made(form)
    images = read(tmp_path, form, scenes, lf.change(found, None, lambda each, label: (each - 1) / label.size * whole))
    for name, _, _, points in scenes:
        np.testing.assert_allclose(images[name].points, points, atol=0.01)
    assert f"are read in {'shares' if whole == 1 else 'percent'}" in capsys.readouterr().out


def test_a_list_that_holds_its_boxes_column_by_column_is_read(tmp_path, capsys):
    """As the file wider_face_val.txt that goes round with a TensorFlow 1 training: all x, all y, all w, all h."""
    scenes = lf.scene(rng())
    lf.write(tmp_path, scenes, {})
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{name[:-4]}.png {' '.join(map(str, np.ravel(lf.LAYOUTS['x y w h'](boxes).T)))}\n"
                            for name, _, boxes, _ in scenes))
    for image, (*_, boxes, _) in zip(wider.read(path, "sets/one/images", tmp_path), scenes):
        np.testing.assert_allclose(image.boxes, boxes, atol=0.1)
    assert "`x y w h` in pixels, column by column" in capsys.readouterr().out


def test_a_long_list_in_shares_is_decided_on_some_images_and_all_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("preprocess.labels.checks.SAMPLED", 8)
    scenes, found = made("one-line")
    lf.write(tmp_path, scenes, {})
    shares = lf.change(found, lambda row, label: row / np.tile(label.size, 2))
    (tmp_path / "list.txt").write_text(lf.one_line(shares)["annotations.txt"])
    images = wider.read(tmp_path / "list.txt", "sets/one/images", tmp_path)
    assert len(images) == len(scenes)
    for image, (*_, boxes, _) in zip(images, scenes):
        np.testing.assert_allclose(image.boxes, boxes, atol=0.1)


def test_celebas_list_under_the_name_of_a_one_line_list_is_read(tmp_path):
    scenes = lf.scene(rng(), 40, True)
    lf.write(tmp_path, scenes, {})
    path = tmp_path / "list.txt"
    path.write_text(lf.celeba(lf.labels(scenes, "celeba"))["list_bbox_celeba.txt"])
    images = wider.read(path, "sets/one/images", tmp_path)
    assert len(images) == 40
    for image, (*_, boxes, _) in zip(images, scenes):
        np.testing.assert_allclose(image.boxes, boxes, atol=0.1)


def test_boxes_that_stay_in_one_corner_are_warned_of(tmp_path, capsys):
    scenes, found = made("retinaface")
    read(tmp_path, "retinaface", scenes, lf.change(found, lambda row, _: row / 2, lambda each, _: each / 2))
    assert "warning: the boxes all lie in the upper left 4" in capsys.readouterr().out


def tenth(found, rows=None, points=None):
    """Every tenth of the labels changed."""
    return [lf.change([label], rows, points)[0] if i % 10 == 0 else label for i, label in enumerate(found)]


def whole(label):
    return np.tile(label.size, 2)


@pytest.mark.parametrize("form, rows, points, said", [
    ("coco", lambda row, label: row / whole(label) * 100, None, r"4 of 40 images have boxes unlike .* in percent"),
    ("voc", lambda row, _: row[[2, 1, 0, 3]] if row[0] > row[2] else row[[0, 3, 2, 1]], None, "skipped"),
    ("official", lambda row, _: row[[2, 1, 0, 3]], None, r"\d of 40 images have boxes unlike"),
    ("yolo", lambda row, _: row + [0.3, 0, 0, 0], None, r"\d+ of \d+ boxes leave their images, such as in"),
    ("retinaface", lambda row, _: row + [1.2 * row[2], 0, 0, 0], None, r"\d of \d+ faces have their landmarks elsewh"),
    ("labelv2", lambda row, _: row - 0.38 * (row[3] - row[1]) * np.array([0, 1, 0, 1]), None,
     r"\d of \d+ faces have their landmarks elsewh"),      # still near, at the edge
    ("labelme", lambda row, label: row * 0.7, None, "landmarks"),
    ("labelv2", None, lambda each, _: each[[1, 0, 2, 3, 4]], r"\d+ of \d+ faces have landmarks in another order"),
    ("mtfl", None, lambda each, label: each * [-1, 1] + [label.size[0], 0], "4 of 40 faces have landmarks in another"),
    ("ibug", None, lambda each, label: each / label.size * 100, r"\d of 40 images have boxes unlike .* in percent")])
def test_some_images_that_contradict_the_others_are_named(tmp_path, capsys, monkeypatch, form, rows, points, said):
    monkeypatch.setattr("pipeline.problems.BAD_SHARE", 1.0)
    scenes, found = made(form)
    read(tmp_path, form, scenes, tenth(found, rows, points))
    out = capsys.readouterr().out
    assert re.search(said, out), out
    assert said == "skipped" or re.search(r"warning: .*, such as in sets/one/images/\d+\.png", out), out


def test_a_file_with_two_numbers_exchanged_is_warned_of_by_its_shapes(tmp_path, capsys):
    scenes, found = made("official")
    read(tmp_path, "official", scenes, lf.change(found, lambda row, _: row[[2, 1, 0, 3]]))
    assert re.search("warning: the boxes have very different shapes, .* first and the third", capsys.readouterr().out)


def test_boxes_that_lie_on_one_side_are_warned_of(tmp_path, capsys):
    scenes, found = made("official", 80)
    read(tmp_path, "official", scenes, [lf.change([label], lambda row, _: row * [0.4, 1, 1, 1])[0] if i % 3 else label
                                        for i, label in enumerate(found)])
    assert re.search(r"warning: the boxes lie at [23]\d% of the width", capsys.readouterr().out)


@pytest.mark.parametrize("form", ["mtfl", "ibug"])
def test_points_of_images_that_were_reduced_are_warned_of(tmp_path, capsys, form):
    scenes, found = made(form, 80)
    read(tmp_path, form, scenes, lf.change(found, None, lambda each, _: each * 0.7))
    assert "warning: the landmarks never come closer than" in capsys.readouterr().out


def test_set_json_can_say_how_the_boxes_are_meant(tmp_path):
    scenes, found = made("coco", 3)
    for label, (_, _, boxes, _) in zip(found, scenes):
        label.rows = lf.LAYOUTS["y1 x1 y2 x2"](boxes).tolist()
    same(read(tmp_path, "coco", scenes, found, **{"set.json": '{"layout": "y1 x1 y2 x2"}'}), scenes)
    with pytest.raises(UserError, match="layout must be one of"):
        read(tmp_path, "coco", scenes, found, **{"set.json": '{"layout": "x z"}'})
