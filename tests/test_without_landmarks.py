"""Training without landmarks: declared once per size; no list, no warning, weights that say so, no points drawn."""
import json
import shutil

import numpy as np
import pytest

from config import CASCADE, ONET, PNET, STAGES
from conftest import ROOT
from detection import Detector, weights
from detection.images import read
from preprocess.records import Records
from train import batches, nets


@pytest.fixture(scope="module")
def declared(done, sample, script, tmp_path_factory):
    """(work folder, all that was said): steps 2 to 4 of P-Net and of O-Net, P-Net's from its own lists of step 1."""
    work, said = tmp_path_factory.mktemp("without"), ""
    for size in (12, 48):
        (work / str(size)).mkdir()
        for kind in ("positive", "part", "negative"):
            shutil.copy(done / "12" / f"{kind}.txt", work / str(size))
        for command in [("preprocess/gen_landmark_aug.py", size, "--no-landmarks"),
                        *[("preprocess/gen_imglist_pnet.py",)] * (size == 12), ("preprocess/gen_tfrecords.py", size)]:
            said += script(*command, "--data", sample, "--work", work, "--workers", 1).stdout
    return work, said


def test_no_list_is_written_or_missed_and_nothing_warns(declared):
    work, said = declared
    assert not list(work.rglob("landmark.txt")) and "warning" not in said and said.count("without landmarks") == 2
    for size in (12, 48):
        stored = Records(work / str(size), size)
        assert not stored.landmarks
        assert batches.composition(STAGES[size], stored.counts).keys() == STAGES[size].batch.keys() - {"landmark"}


def test_the_usual_records_hold_landmarks(done):
    assert Records(done / "12", 12).landmarks


def test_the_weights_say_it_also_after_a_warm_start(declared, script, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(declared[0], work)
    said = script("train/train.py", 12, "--work", work, "--model", tmp_path, "--graph", tmp_path / "graph",
                  "--epochs", 1, "--init-from", ROOT / "model" / "pnet.npz").stdout
    trained = weights.read(tmp_path / "pnet.npz", PNET)
    assert "pnet is trained without landmarks" in said and "warning" not in said and "landmark 0" not in said
    head = (work / "12" / "train" / "log.csv").read_text().splitlines()[0].split(",")
    assert {"total", "face", "box", "validation_total"} <= set(head) and not any("landmark" in name for name in head)
    assert not weights.have_landmarks(trained) and trained["box/weights"].any()
    assert weights.have_landmarks(weights.read(ROOT / "model" / "pnet.npz", PNET))


@pytest.fixture
def model(tmp_path):
    """The shipped nets, O-Net as if it had been trained without landmarks."""
    folder = tmp_path / "boxes"
    shutil.copytree(ROOT / "model", folder, ignore=shutil.ignore_patterns("*.md"))
    arrays = weights.read(folder / "onet.npz", ONET)
    weights.write_arrays(folder / "onet.npz", {
        name: np.zeros_like(array) if name.startswith("landmark/") else array for name, array in arrays.items()})
    return folder


def test_faces_have_the_same_boxes_and_no_landmarks(model):
    image = read(ROOT / "picture" / "astronaut.jpg")
    with Detector(model) as without, Detector(ROOT / "model") as usual:
        found, wanted = without.detect(image), usual.detect(image)
        assert usual.has_landmarks and not without.has_landmarks
    np.testing.assert_array_equal(found.boxes, wanted.boxes)
    assert len(wanted.landmarks) == len(found) and found.landmarks.shape == (0, 5, 2)


def test_results_hold_no_points_and_crops_are_refused(model, script, tmp_path):
    image, out = ROOT / "picture" / "astronaut.jpg", tmp_path / "out"
    said = script("test.py", image, "--model", model, "--output", out, "--json", tmp_path / "a.json",
                  "--csv", tmp_path / "a.csv").stdout
    assert "trained without landmarks; faces have boxes and scores only" in said
    assert json.loads((tmp_path / "a.json").read_text())["astronaut.jpg"][0]["landmarks"] == []
    header, row = (tmp_path / "a.csv").read_text().splitlines()
    assert header.count(",") == row.count(",") and ",,,,," in row
    plain = read(image).astype(int)
    assert (np.abs(read(out / "astronaut.jpg") - plain).max(axis=2)[100:150, 200:250] < 60).all()     # inside the face
    error = script("test.py", image, "--model", model, "--output", out, "--crops", out, code=2).stderr
    assert "without landmarks, by which --crops aligns faces" in error
    (tmp_path / "testImageList.txt").write_text("astronaut.jpg 180 272 62 176 202 101 245 103 223 125 203 139 246 14\n")
    error = script("evaluate/landmarks.py", "--data", tmp_path, "--results", tmp_path / "a.json", code=2).stderr
    assert "the faces have no landmarks" in error


def test_an_average_with_a_net_that_has_landmarks_is_refused(model, script, tmp_path):
    error = script("train/average_weights.py", 48, model / "onet.npz", ROOT / "model" / "onet.npz",
                   "--out", tmp_path / "a.npz", code=2).stderr
    assert "trained without landmarks and some with" in error


def test_a_folder_without_landmarks_says_how_to_go_on(tmp_path, script):
    error = script("preprocess/gen_landmark_aug.py", 12, "--data", tmp_path, code=2).stderr.splitlines()[-1]
    assert "holds no trainImageList.txt and no set" in error and "--no-landmarks trains without" in error


def test_declaring_it_removes_an_earlier_list(done, sample, script, tmp_path):
    shutil.copytree(done, tmp_path / "work")
    assert (tmp_path / "work/12/landmark.txt").is_file()
    where = ("--data", sample, "--work", tmp_path / "work", "--workers", 1)
    script("preprocess/gen_landmark_aug.py", 12, "--no-landmarks", *where)
    assert not (tmp_path / "work/12/landmark.txt").exists()
    said = script("preprocess/gen_imglist_pnet.py", *where).stdout
    assert "landmark: 0 of 0" in said


def test_only_the_landmark_head_becomes_zero():
    model = nets.build(CASCADE[0])
    kept, left = nets.arrays(model, PNET), nets.arrays(model, PNET, landmarks=False)
    for name, array in kept.items():
        np.testing.assert_array_equal(left[name], 0 if name.startswith("landmark/") else array)
