"""Other points than a face's five: triangular signs with three corners, from their list to what is found."""
import json
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

import config
from config import ONET, RNET
from conftest import ROOT
from detection import weights
from pipeline import step
from preprocess import gen_landmark_aug

POINTS, MIRROR_ORDER = ("top", "left foot", "right foot"), (0, 2, 1)


def project_with(folder, points, mirror_order):
    """A copy of the scripts, with other points in its config.py."""
    for name in ("detection", "pipeline", "preprocess", "train", "export", "evaluate"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "test.py", folder)
    text = (ROOT / "config.py").read_text(encoding="utf-8")
    for name, value in (("POINTS", points), ("MIRROR_ORDER", mirror_order)):
        text, found = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert found == 1
    (folder / "config.py").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return project_with(tmp_path_factory.mktemp("project"), POINTS, MIRROR_ORDER)


@pytest.fixture(scope="module")
def signs(tmp_path_factory):
    """A data folder of 24 images with one sign each, and {image: its corners (3, 2)}."""
    data, rng, corners, boxes = tmp_path_factory.mktemp("signs"), np.random.default_rng(3), {}, []
    (data / "WIDER_train" / "images" / "road").mkdir(parents=True)
    for number in range(24):
        image = cv2.resize(rng.integers(0, 200, (8, 8, 3), dtype=np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC)
        points = rng.integers(40, 100, 2) + rng.uniform(20, 40) * (np.float32([[0, -1], [-1, 0.8], [1, 0.8]])
                                                                   + rng.uniform(-0.2, 0.2, (3, 2)))
        cv2.fillPoly(image, [np.rint(points).astype(np.int32)], (250, 250, 250))
        cv2.imwrite(str(data / "WIDER_train" / "images" / "road" / f"{number}.png"), image)
        corners[f"WIDER_train/images/road/{number}.png"] = points
        x1, y1, x2, y2 = *(points.min(axis=0) - 6), *(points.max(axis=0) + 6)
        boxes.append((x1, y1, x2, y2))
    (data / "wider_face_train.txt").write_text("".join(
        f"road/{number}.png {x1:.1f} {y1:.1f} {x2:.1f} {y2:.1f}\n" for number, (x1, y1, x2, y2) in enumerate(boxes)))
    (data / "trainImageList.txt").write_text("".join(
        f"{image} {x1:.1f} {x2:.1f} {y1:.1f} {y2:.1f} {' '.join(f'{v:.4f}' for v in corners[image].ravel())}\n"
        for image, (x1, y1, x2, y2) in zip(corners, boxes)))
    return data, corners


@pytest.fixture(scope="module")
def trained(project, signs, script, tmp_path_factory):
    """The folder in which steps 1 to 5 were run, and what the last one said."""
    work = tmp_path_factory.mktemp("work")
    where = ["--data", signs[0], "--work", work, "--model", work / "model", "--workers", 1]
    script(project / "preprocess/gen_12net_data.py", *where)
    script(project / "preprocess/gen_landmark_aug.py", 12, *where)
    script(project / "preprocess/gen_imglist_pnet.py", *where)
    script(project / "preprocess/gen_tfrecords.py", 12, *where)
    return work, script(project / "train/train.py", 12, *where, "--graph", work / "graph", "--epochs", 1).stdout


def test_a_mirrored_sample_has_its_left_foot_where_the_right_one_was(trained, signs):
    mirrored = 0
    for line in (trained[0] / "12" / "landmark.txt").read_text().splitlines():
        image, place, label, _, values = line.split("\t")
        *crop, mirror, rotation = map(float, place.split())
        points = np.array(values.split(), float).reshape(3, 2)
        assert label == "-2" and points[1, 0] < points[2, 0]
        if rotation == 0:
            wanted = (signs[1][image] - crop[:2]) / np.subtract(crop[2:], crop[:2])
            if mirror:
                wanted = wanted[[0, 2, 1]] * (-1, 1) + (1, 0)
            np.testing.assert_allclose(points, wanted, atol=1e-4)
            mirrored += mirror
    assert mirrored > 20


def test_a_net_trained_with_three_points_has_six_numbers_for_them(trained):
    work, said = trained
    with np.load(work / "model" / "pnet.npz") as arrays:
        assert arrays["landmark/weights"].shape == (1, 1, 32, 6) and arrays["landmark/biases"].shape == (6,)
        count = sum(arrays[name].size for name in arrays.files)
    assert count == 6_962 - 4 * 33 and f"pnet: {count:,} parameters" in said


def test_what_is_found_has_three_points(project, trained, signs, script, tmp_path, rng):
    shutil.copy(trained[0] / "model" / "pnet.npz", tmp_path)
    for stage in (RNET, ONET):
        shapes = {name: (*shape[:-1], 6) if name.startswith("landmark/") else shape
                  for name, shape in weights.shapes(stage).items()}
        weights.write_arrays(tmp_path / f"{stage.name}.npz", {
            name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()})
    image = signs[0] / "WIDER_train" / "images" / "road" / "0.png"
    script(project / "test.py", image, "--model", tmp_path, "--thresholds", 0, 0, 0, "--output", tmp_path / "out",
           "--json", tmp_path / "found.json", "--csv", tmp_path / "found.csv")
    found = json.loads((tmp_path / "found.json").read_text())["0.png"]
    assert found and np.shape([sign["landmarks"] for sign in found]) == (len(found), 3, 2)
    header, *rows = (tmp_path / "found.csv").read_text().splitlines()
    assert header.endswith("y2,top_x,top_y,left_foot_x,left_foot_y,right_foot_x,right_foot_y,time")
    assert {row.count(",") for row in rows} == {header.count(",")}


def test_errors_are_shares_of_the_distance_between_the_first_two_points(project, script, tmp_path):
    (tmp_path / "testImageList.txt").write_text("a.png 0 40 0 40 10 10 10 30 30 30\n")
    found = {"a.png": [{"box": [0, 0, 40, 40], "score": 1, "landmarks": [[10, 15], [10, 30], [30, 30]]}]}
    (tmp_path / "faces.json").write_text(json.dumps(found))
    said = script(project / "evaluate/landmarks.py", "--data", tmp_path, "--results", tmp_path / "faces.json",
                  "--out", tmp_path, "--json", tmp_path / "n.json").stdout
    assert "% of the distance between top and left foot" in said
    assert json.loads((tmp_path / "n.json").read_text())["points"] == {"top": 0.25, "left foot": 0, "right foot": 0}


FIVE = "is made for the five points of a face, and POINTS in config.py names others"
REFUSED = {"crops": (["test.py", "{data}", "--output", "{out}", "--crops", "{out}"], f"--crops: {FIVE}"),
           "format": (["export/export.py", "facenet-pytorch", "--out", "{out}"], f"the format facenet-pytorch: {FIVE}"),
           "weights of others": (["export/import_weights.py", "mtcnn", "--out", "{out}"], f"mtcnn: {FIVE}"),
           "MTFL": (["evaluate/landmarks.py", "--mtfl", "--annotations", "{data}/trainImageList.txt"], FIVE),
           "weights of five": (["test.py", "{data}", "--output", "{out}", "--model", ROOT / "model"],
                               "pnet.npz: does not hold pnet for 12 px crops and 3 points (landmark/weights should be "
                               "(1, 1, 32, 6), is (1, 1, 32, 10)); give it the right file"),
           "list of five": (["preprocess/gen_landmark_aug.py", "12", "--data", "{out}"],
                            "more than 10 numbers, while config.py names 3 points")}


@pytest.mark.parametrize("command, message", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_for_five_points_is_refused_in_one_sentence(command, message, project, signs, script, tmp_path):
    (tmp_path / "trainImageList.txt").write_text("a.png 0 9 0 9 1 1 2 2 3 3 4 4 5 5\n")
    name, *options = (str(part).format(data=signs[0], out=tmp_path) for part in command)
    error = script(project / name, *options, code=2).stderr.splitlines()[-1]
    assert error.startswith("error: ") and message in error


def test_lists_of_other_points_are_done_again(tmp_path, monkeypatch):
    def landmarks():
        return step.Step(tmp_path, "list", {}, {}, gen_landmark_aug.settings())
    landmarks().finish([], {"samples": 3})
    assert landmarks().report() == {"samples": 3}
    monkeypatch.setattr(config, "POINTS", POINTS)
    assert landmarks().report() is None


@pytest.mark.parametrize("order", [(0, 1), (0, 1, 2, 3), (1, 2, 0), (1, 1, 2), (1, 0, 3)])
def test_an_order_that_is_no_mirror_is_refused(order, tmp_path):
    """Flipped twice, each point is itself again. Detection and step 2 check it before they start."""
    project_with(tmp_path, POINTS, order)
    for command in (["test.py", ROOT / "picture" / "tesla.jpg", "--output", "out"],
                    ["preprocess/gen_landmark_aug.py", "12", "--data", "data"]):
        said = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
        assert said.returncode == 2 and "error: config.py: MIRROR_ORDER must hold a number for each" in said.stderr
