"""What a label file says of itself is checked, and malformed labels count as broken."""
import json

import cv2
import numpy as np
import pytest

from detection.errors import UserError
from preprocess import labels
from preprocess.labels import sets, wider

WIDTH, HEIGHT, IMAGES = 120, 90, 30


def make(tmp_path, files, size=(WIDTH, HEIGHT)):
    folder = tmp_path / "sets" / "one"
    (folder / "images").mkdir(parents=True)
    for i in range(IMAGES):
        cv2.imwrite(str(folder / "images" / f"{i}.png"), np.zeros((size[1], size[0], 3), np.uint8))
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def voc():
    return {f"annotations/{i}.xml": f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size><object>"
            "<name>face</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>"
            "</annotation>" for i in range(IMAGES)}


def coco(change=lambda content: None):
    content = {"images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(IMAGES)],
               "categories": [{"id": 1, "name": "face"}],
               "annotations": [{"image_id": i, "category_id": 1, "bbox": [10, 20, 30, 40]} for i in range(IMAGES)]}
    change(content)
    return {"annotations.json": json.dumps(content)}


@pytest.mark.parametrize("form", [voc, coco])
@pytest.mark.parametrize("factor", [1, 2, 0.5])
def test_boxes_follow_an_image_that_was_resized_after_labeling(tmp_path, capsys, form, factor):
    make(tmp_path, form(), (int(WIDTH * factor), int(HEIGHT * factor)))
    images, _ = sets.training(tmp_path)
    for image in images:
        np.testing.assert_allclose(image.boxes, np.array([[10, 20, 40, 60]]) * factor)
    assert ("rescaled" in capsys.readouterr().out) == (factor != 1)


@pytest.mark.parametrize("form", [voc, coco])
@pytest.mark.parametrize("size, cause", [((HEIGHT, WIDTH), "orientation"), ((100, 90), "120 x 90 px, but .*100 x 90")])
def test_another_image_than_the_labeled_one_is_refused_with_both_sizes(tmp_path, form, size, cause):
    make(tmp_path, form(), size)
    with pytest.raises(UserError, match=cause):
        sets.training(tmp_path)


def test_coco_ids_may_be_text_and_boxes_to_ignore_do_not_count(tmp_path):
    def change(content):
        for image in content["images"]:
            image["id"] = str(image["id"])
        content["annotations"][0]["ignore"] = 1
    make(tmp_path, coco(change))
    images, _ = sets.training(tmp_path)
    assert [int(image.invalid.sum()) for image in images] == [1] + [0] * (IMAGES - 1)


def test_coco_boxes_of_images_that_are_gone_and_missing_boxes_are_counted(tmp_path, capsys):
    def change(content):
        content["annotations"].append({"image_id": 999, "category_id": 1, "bbox": [1, 2, 30, 40]})
        del content["annotations"][0]["bbox"]
    make(tmp_path, coco(change))
    images, _ = sets.training(tmp_path)
    assert len(images) == IMAGES - 1
    out = capsys.readouterr().out
    assert "1 boxes of images that it does not list" in out and out.count("skipped:") == 1


def test_coco_ids_that_stand_for_two_images_are_refused(tmp_path):
    make(tmp_path, coco(lambda content: content["images"][1].update(id=0)))
    with pytest.raises(UserError, match=r"image id 0 stands for 0\.png and for 1\.png"):
        sets.training(tmp_path)


@pytest.mark.parametrize("classes", ['["fase"]', '["face", "fase"]'])
def test_a_class_that_no_coco_category_has_is_refused_with_those_that_exist(tmp_path, classes):
    make(tmp_path, {**coco(), "set.json": f'{{"classes": {classes}}}'})
    with pytest.raises(UserError, match="no class fase, .*it has face"):
        sets.training(tmp_path)


def test_a_yolo_class_may_be_written_as_a_fraction(tmp_path):
    make(tmp_path, {**{f"labels/{i}.txt": "0.0 .5 .5 .5 .5\n1 .5 .5 .2 .2\n" for i in range(IMAGES)},
                    "set.json": '{"classes": [0]}'})
    images, _ = sets.training(tmp_path)
    assert [len(image.boxes) for image in images] == [1] * IMAGES


def test_boxes_that_end_before_they_begin_are_broken_and_not_marked(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{i}.jpg 70 80 30 40\n" for i in range(20)) + "x.jpg 1 2 30 40\n")
    with pytest.raises(UserError, match="20 of 21 entries .*ends before it begins"):
        wider.read(path, "images")
    assert labels.annotate("a.jpg", [[5, 5, 5, 5]]).invalid.all()       # WIDER FACE has faces of no size
