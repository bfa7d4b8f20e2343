"""Sets whose labels have points: which of their faces train landmarks, and in which crops."""
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from config import FACIAL_POINTS, LANDMARK_MIN_FACE, POINTS_BOX
from detection import boxes as bx
from preprocess import crops, gen_landmark_aug, labels, samples
from preprocess.labels import from_points, landmark_sets, sets

SIZE = 400                          # px, the side of the images
FACE = np.float32([[-10, -9], [11, -8], [0, 0], [-8, 10], [9, 11]])     # px from the center


def face(center, scale=1.0):
    """Points (5, 2) and a box like a head's: 2.5 times as wide as the eyes are apart, higher than wide."""
    points = np.float32(center) + scale * FACE
    x, y = center
    return points, np.float32([x - 26 * scale, y - 36 * scale, x + 26 * scale, y + 28 * scale])


@pytest.fixture
def images(tmp_path, rng):
    """A set in COCO's form: 24 images of two faces each; points are bright dots. Every third face lacks its left eye,
    the second of each image its nose, one face all points, one is a crowd. Returns (data folder, images as read)."""
    folder = tmp_path / "sets" / "heads"
    (folder / "images").mkdir(parents=True)
    things = []
    for number in range(24):
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        for place in range(2):
            points, box = face(rng.uniform(90, 110, 2) + (180 * place, 150 * place), rng.uniform(1, 1.8))
            for x, y in points:
                cv2.circle(image, (round(16 * float(x - 0.5)), round(16 * float(y - 0.5))), 16 * 3, (255, 255, 255), -1,
                           cv2.LINE_AA, 4)
            if len(things) % 3 == 0:
                points[0] = np.nan
            if place:
                points[2] = np.nan
            if number == 5:
                points[:] = np.nan
            keypoints = [v for x, y in points for v in ((0, 0, 0) if np.isnan(x) else (float(x), float(y), 2))]
            x1, y1, x2, y2 = box.tolist()
            things.append({"image_id": number, "category_id": 0, "bbox": [x1, y1, x2 - x1, y2 - y1],
                           "keypoints": keypoints, "iscrowd": int(number == 7)})
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
    (folder / "annotations.json").write_text(json.dumps({
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(24)], "annotations": things,
        "categories": [{"id": 0, "name": "face"}]}))
    return tmp_path, sets.read_set(tmp_path, folder)


def test_faces_with_some_points_train_and_others_do_not(images):
    chosen = landmark_sets.with_points(images[1])
    assert {image.path.split("/")[-1] for image in chosen} == {f"{n}.png" for n in range(24) if n not in (5, 7)}
    assert all(len(image.boxes) == 2 and not image.invalid.any() for image in chosen)
    assert sum(int(np.isnan(image.points).any(axis=2).sum()) for image in chosen) > 22      # noses, and left eyes


def test_every_target_lies_on_its_dot_in_the_crop(images, monkeypatch):
    """Mirrored and turned crops included; a missing point is missing in the sample, under its name in the mirror."""
    monkeypatch.setattr(landmark_sets, "measured", lambda boxes, points: (0.8, 0.05))
    data, _ = images
    annotated, _ = landmark_sets.training(data)
    sampler, seen, lost = gen_landmark_aug.Sampler(data, 48, 0), 0, set()
    for image in annotated[:6]:
        pixels = cv2.imread(str(data / image.path))
        for sample in map(samples.parse, sampler(image)[0]):
            crop = crops.cut(pixels, [sample], 96)[0]
            for name, (x, y) in zip(FACIAL_POINTS, sample.points.reshape(5, 2) * 96 - 0.5):
                if np.isnan(x):
                    lost.add((name, sample.mirror))
                elif 3 < x < 92 and 3 < y < 92:
                    assert crop[round(float(y)), round(float(x))].min() > 180
                    seen += 1
    assert seen > 200 and {("nose", False), ("nose", True), ("left eye", False), ("right eye", True)} == lost


def test_the_crops_are_the_windows_in_which_landmarks_are_detected(images, monkeypatch):
    monkeypatch.setattr(landmark_sets, "measured", lambda boxes, points: (0.7, 0.1))
    data, _ = images
    annotated, _ = landmark_sets.training(data)
    for image in annotated:
        windows = bx.windows(bx.inner(image.boxes, 0.7, 0.1))
        assert (bx.longer_side(windows) >= LANDMARK_MIN_FACE).any()
        first = {tuple(samples.parse(line).crop) for line in gen_landmark_aug.Sampler(data, 48, 0)(image)[0]}
        assert {tuple(window.astype(int)) for window in windows} <= first


def test_the_crops_of_a_list_are_square_where_its_boxes_are_not(images, monkeypatch):
    """Detection shows square windows only: in another crop a face would be stretched."""
    data, _ = images
    annotated, _ = landmark_sets.training(data)
    tall = replace(annotated[0], points_box=None, boxes=annotated[0].boxes + np.float32([0, -20, 0, 21.5]))
    found = [samples.parse(line).crop for line in gen_landmark_aug.Sampler(data, 48, 0)(tall)[0]]
    assert found and all(x2 - x1 == y2 - y1 for x1, y1, x2, y2 in found)


@pytest.mark.parametrize("side, below", [(1.0, 0.0), (0.5, 0.12), POINTS_BOX])
def test_how_boxes_and_points_of_a_set_relate_is_measured(rng, side, below):
    """Boxes are made so that the square of the points lies in them like that; one in ten is wrong, as in real sets."""
    points = FACE * rng.uniform(1, 6, (60, 1, 1)) + rng.uniform(100, 300, (60, 1, 2))
    inner = from_points.landmark_box(points)
    longer = bx.longer_side(inner) / side
    center = (inner[:, :2] + inner[:, 2:]) / 2 - below * longer[:, None] * (0, 1)
    half = longer[:, None] / 2 * (0.8, 1)       # higher than wide: the longer side counts
    boxes = np.hstack([center - half, center + half])
    boxes[::10] += 50
    points[1] = np.nan
    np.testing.assert_allclose(from_points.measured(boxes, points), (side, below), atol=0.011)


def test_a_set_with_too_few_whole_faces_takes_points_box_and_says_so(images, capsys, monkeypatch):
    found = landmark_sets.place("heads", landmark_sets.with_points(images[1])[:3])
    assert found[0].points_box == POINTS_BOX and "POINTS_BOX of config.py" in capsys.readouterr().out
    monkeypatch.setattr(from_points, "POINTS", ("tip",))
    assert from_points.measured(np.ones((99, 4)), np.ones((99, 1, 2))) is None


def test_a_moved_point_makes_landmarks_stale_and_boxes_not(images):
    data, _ = images
    before = landmark_sets.training(data)[1], sets.training(data)[1]
    path = data / "sets" / "heads" / "annotations.json"
    content = json.loads(path.read_text())
    content["annotations"][2]["keypoints"][3] += 1
    path.write_text(json.dumps(content))
    after = landmark_sets.training(data)[1], sets.training(data)[1]
    assert before[0].keys() == after[0].keys() == {"sets/heads"} and before[0] != after[0] and before[1] == after[1]


def test_step_2_writes_the_same_lines_for_two_workers(images, script, tmp_path_factory):
    data, _ = images
    works = [tmp_path_factory.mktemp("work") for _ in range(2)]
    said = [script("preprocess/gen_landmark_aug.py", 12, "--data", data, "--work", work, "--workers", count).stdout
            for count, work in enumerate(works, 1)]
    assert "44 faces with landmarks in 22 images" in said[0] and "nan" in (works[0] / "12/landmark.txt").read_text()
    assert (works[0] / "12/landmark.txt").read_bytes() == (works[1] / "12/landmark.txt").read_bytes()
    assert labels.summary(sets.read_set(data, data / "sets" / "heads"), 12).endswith(
        "| faces with all landmarks | 15 |\n| faces with only some landmarks | 31 |")


def test_points_of_labelme_without_rectangles_are_faces_whose_boxes_are_made_of_them(tmp_path, capsys):
    """Two groups of five points in one file; the boxes are those of from_points, and this is said."""
    folder = tmp_path / "sets" / "points" / "images"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "a.png"), np.zeros((SIZE, SIZE, 3), np.uint8))
    points = np.stack([face((100, 120))[0], face((260, 250), 2)[0]])
    (folder / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": [
        {"shape_type": "point", "label": name, "group_id": group, "points": [place.tolist()]}
        for group, places in enumerate(points) for name, place in zip(FACIAL_POINTS, places)]}))
    image, = sets.read_set(tmp_path, folder.parent)
    np.testing.assert_allclose(image.points, points)
    np.testing.assert_allclose(image.boxes, from_points.face_box(points), rtol=1e-5)
    assert "1 images have points and no boxes; their boxes are made of the points" in capsys.readouterr().out
