"""Sets of images in every form -> the same images, boxes and paths."""
import json

import cv2
import numpy as np
import pytest

from detection.errors import UserError
from preprocess.labels import sets

BOXES = {"a": [[10, 20, 40, 60]], "day 1/游行": [[0, 0, 30, 30], [50, 40, 80, 90]], "none": []}
WIDTH, HEIGHT = 120, 90


def voc(folder):
    for name, boxes in BOXES.items():
        things = "".join(f"<object><name>{'face' if i == 0 else 'mask'}</name><difficult>{i}</difficult><bndbox>"
                         f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
                         "</object>"
                         for i, (x1, y1, x2, y2) in enumerate(boxes))
        path = folder / "annotations" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<annotation><filename>other.jpg</filename>{things}</annotation>", encoding="utf-8")


def yolo(folder):
    for name, boxes in BOXES.items():
        path = folder / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(
            f"{i} {(x1 + x2) / 2 / WIDTH} {(y1 + y2) / 2 / HEIGHT} {(x2 - x1) / WIDTH} {(y2 - y1) / HEIGHT}\n"
            for i, (x1, y1, x2, y2) in enumerate(boxes)))


def coco(folder):
    names = list(BOXES)
    things = [{"image_id": n, "category_id": i, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": i}
              for n, name in enumerate(names) for i, (x1, y1, x2, y2) in enumerate(BOXES[name])]
    (folder / "annotations.json").write_text(json.dumps({
        "images": [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate(names)],
        "categories": [{"id": 0, "name": "face"}, {"id": 1, "name": "mask"}], "annotations": things}))


def wider(folder):
    (folder / "annotations.txt").write_text("".join(
        f"{name}.png\n{len(boxes)}\n" + ("".join(
            f"{x1} {y1} {x2 - x1} {y2 - y1} 0 0 0 {i} 0 0\n" for i, (x1, y1, x2, y2) in enumerate(boxes))
            or "0 0 0 0 0 0 0 0 0 0\n")
        for name, boxes in BOXES.items()), encoding="utf-8")


FORMS = {"voc": voc, "yolo": yolo, "coco": coco, "wider": wider}


def make(data, form, name="one"):
    folder = data / "sets" / name
    for image in BOXES:
        path = folder / "images" / f"{image}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imencode(".png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tofile(path)
    FORMS[form](folder)
    if form != "wider":         # which has no classes
        (folder / "set.json").write_text(json.dumps({"classes": [0, 1] if form == "yolo" else ["face", "mask"]}))
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(tmp_path, form):
    make(tmp_path, form)
    images, _ = sets.training(tmp_path)
    found = {image.path: image for image in images}
    assert found.keys() == {f"sets/one/images/{name}.png" for name in BOXES}
    for name, boxes in BOXES.items():
        image = found[f"sets/one/images/{name}.png"]
        np.testing.assert_allclose(image.boxes, np.reshape(boxes, (-1, 4)), atol=1e-4)
        assert image.complete
        assert image.invalid.tolist() == [form != "yolo" and i > 0 for i in range(len(boxes))]   # YOLO has no such mark


@pytest.mark.parametrize("form, name", [("voc", "face"), ("coco", "face"), ("yolo", 0)])
def test_only_the_classes_named_count(tmp_path, form, name):
    folder = make(tmp_path, form)
    (folder / "set.json").write_text(json.dumps({"classes": [name], "complete": False}))
    images, _ = sets.training(tmp_path)
    assert sorted(len(image.boxes) for image in images) == [0, 1, 1]
    assert not any(image.complete for image in images)


def test_sets_come_beside_wider_face_and_a_changed_box_changes_the_fingerprint(tmp_path):
    make(tmp_path, "voc", "b")
    folder = make(tmp_path, "wider", "a")
    (tmp_path / "wider_face_train.txt").write_text("e/x 1 1 50 50\n")
    images, before = sets.training(tmp_path)
    assert list(before) == ["wider_face_train.txt", "sets/a", "sets/b"] and len(images) == 7
    listed = folder / "annotations.txt"
    listed.write_text(listed.read_text(encoding="utf-8").replace("10 20 30 40", "11 20 30 40"), encoding="utf-8")
    after = sets.training(tmp_path)[1]
    assert [name for name in before if before[name] != after[name]] == ["sets/a"]


def test_a_broken_file_is_named_and_counted(tmp_path, capsys):
    folder = make(tmp_path, "voc")
    for i in range(40):
        (folder / "annotations" / f"{i}.xml").write_text((folder / "annotations" / "a.xml").read_text())
        cv2.imwrite(str(folder / "images" / f"{i}.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (folder / "annotations" / "7.xml").write_text("<annotation><object>")
    (folder / "annotations" / "8.xml").write_text("<annotation><object><bndbox><xmin>nan</xmin></bndbox></object>"
                                                  "</annotation>")
    images, _ = sets.training(tmp_path)
    assert len(images) == 41
    out = capsys.readouterr().out
    assert "7.xml: is not XML" in out and "8.xml: " in out


@pytest.mark.parametrize("text, sentence", [("{", "is not JSON"), ('{"compleet": true}', "must look like")])
def test_a_wrong_set_json_is_refused(tmp_path, text, sentence):
    (make(tmp_path, "voc") / "set.json").write_text(text)
    with pytest.raises(UserError, match=sentence):
        sets.training(tmp_path)


def test_a_set_without_annotations_or_images_is_refused(tmp_path):
    (tmp_path / "sets" / "x" / "images").mkdir(parents=True)
    with pytest.raises(UserError, match="has no annotations.txt"):
        sets.training(tmp_path)
    (tmp_path / "sets" / "x" / "labels").mkdir()
    (tmp_path / "sets" / "x" / "labels" / "a.txt").write_text("0 .5 .5 .2 .2\n")
    with pytest.raises(UserError, match="no image in it"):
        sets.training(tmp_path)


def test_a_coco_file_that_is_none_is_refused(tmp_path):
    (make(tmp_path, "coco") / "annotations.json").write_text('{"images": 3}')
    with pytest.raises(UserError, match="is not a COCO annotation file"):
        sets.training(tmp_path)


def test_files_of_one_name_in_two_folders_are_named_with_their_folders(tmp_path, capsys):
    folder = make(tmp_path, "voc")
    for i in range(60):
        (folder / "annotations" / f"{i}.xml").write_text((folder / "annotations" / "a.xml").read_text())
        cv2.imwrite(str(folder / "images" / f"{i}.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (folder / "annotations" / "day 2").mkdir()
    (folder / "annotations" / "day 2" / "a.xml").write_text((folder / "annotations" / "a.xml").read_text())
    sets.training(tmp_path)
    assert "one:annotations/day 2/a.xml: there is no image day 2/a in images/" in capsys.readouterr().out
