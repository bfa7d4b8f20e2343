"""train/landmark_head.py: the least mean distance, bad and missing labels, and that nothing else of the net changes."""
import re
import shutil
from argparse import Namespace

import cv2
import numpy as np
import pytest

from config import MODEL, ONET, POINTS
from detection import UserError, weights
from pipeline.problems import Problems
from preprocess import samples
from preprocess.labels import annotate, landmarks
from train import landmark_head

SCRIPT = "train/landmark_head.py"
PLACES = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])


def image_of(line):
    """A line of the list -> the path of its image."""
    return line.split()[0].replace("\\", "/")


def test_a_few_bad_and_missing_labels_do_not_move_the_head(rng):
    values = rng.normal(0, 1, (3000, 6)).astype(np.float32)
    true = np.vstack([rng.normal(0, 0.02, (6, 2 * len(POINTS))), PLACES.ravel()])
    labeled = values @ true[:-1] + true[-1]
    targets = labeled + rng.normal(0, 0.005, labeled.shape)
    targets[rng.random(len(targets)) < 0.1, 4:] += 0.3            # nose and mouth of some far off, all the same way
    targets[rng.random(len(targets)) < 0.2, 6:8] = np.nan         # a mouth corner that is not labeled
    start = np.zeros_like(true)
    head = landmark_head.fit(values, targets, start)
    np.testing.assert_allclose(head, true, atol=0.004)
    squares = np.linalg.lstsq(np.hstack([values, np.ones((len(values), 1))]), targets[:, 4:6], rcond=None)[0]
    assert np.abs(squares - true[:, 4:6]).max() > 0.02            # what the squared error would give


def test_distances_are_shares_of_the_first_two_points():
    found = (PLACES + (0.04, 0)).reshape(1, -1)
    np.testing.assert_allclose(landmark_head.distances(found, PLACES.reshape(1, -1)), 0.1)
    profile = PLACES.copy()
    profile[1] = np.nan
    away = landmark_head.distances(found, profile.reshape(1, -1))
    np.testing.assert_allclose(away[0, [0, 2, 3, 4]], 0.04 / landmark_head.LEAST_DISTANCE)
    assert np.isnan(away[0, 1])


def test_windows_lie_about_the_face(rng):
    found = landmark_head.windows(rng, np.array([100, 50, 200, 150], np.float32), 20)
    assert len(np.unique(found, axis=0)) == 20 and (found == found.round()).all()
    assert np.abs(found - (100, 50, 200, 150)).max() < 50


def test_the_script_changes_the_landmark_head_alone(tmp_path, sample, script):
    before, start, out = weights.read(MODEL / "onet.npz", ONET), tmp_path / "start.npz", tmp_path / "onet.npz"
    weights.write_arrays(start, {**before, "landmark/biases": before["landmark/biases"] + np.float32(0.2)})
    printed = script(SCRIPT, start, "--data", sample, "--out", out).stdout
    after = weights.read(out, ONET)
    assert {name for name in before if (before[name] != after[name]).any()} == {"landmark/weights", "landmark/biases"}
    errors = [float(error) for error in re.findall("mean error (.*)%", printed)]
    assert errors[1] < errors[0] / 2
    no_data = script(SCRIPT, start, "--data", tmp_path, "--out", out, code=2)
    assert "too few to keep some of them for validation" in no_data.stderr


def test_damaged_images_and_faces_beside_their_image_are_skipped_until_they_are_too_many(tmp_path, sample, script):
    shutil.copytree(sample, tmp_path / "data")
    listed = (tmp_path / "data" / landmarks.TRAIN_LIST).read_text().splitlines()
    damaged, beside = (next(line for line in listed[start:] if not samples.held_out(image_of(line)))
                       for start in (0, 50))
    (tmp_path / "data" / image_of(damaged)).write_bytes(b"no image")
    image = cv2.imread(str(tmp_path / "data" / image_of(beside)))
    cv2.imwrite(str(tmp_path / "data" / image_of(beside)), image[:20, :20])
    before, start, out = weights.read(MODEL / "onet.npz", ONET), tmp_path / "start.npz", tmp_path / "onet.npz"
    weights.write_arrays(start, {**before, "landmark/biases": before["landmark/biases"] + np.float32(0.2)})
    command = [SCRIPT, start, "--data", tmp_path / "data", "--out", out]
    printed = script(*command).stdout
    skipped = [line for line in printed.splitlines() if line.startswith("skipped: ")]
    assert len(skipped) == 2 and all(any(image_of(line) in said for said in skipped) for line in (damaged, beside))
    kept = sum(not samples.held_out(image_of(line)) for line in listed)
    assert f"a landmark head from {kept - 2} images" in printed
    out.unlink()
    for line in listed[:10]:
        (tmp_path / "data" / image_of(line)).unlink(missing_ok=True)
    error = script(*command, code=2).stderr
    assert "cannot be used" in error and "Traceback" not in error and not out.exists()


def test_held_out_images_that_are_all_damaged_are_a_user_error(tmp_path):
    with pytest.raises(UserError, match="none of 1 images with points can be used .*gone.jpg"):
        landmark_head.features(weights.read(MODEL / "onet.npz", ONET), tmp_path, [annotate("gone.jpg", [[0, 0, 9, 9]])],
                               0, Problems())


def test_a_head_that_is_worse_on_held_out_images_is_not_written(tmp_path, sample, rng, monkeypatch):
    values = rng.normal(0, 1, (200, ONET.layers[-1].units)).astype(np.float32)      # fewer than features, of no use
    monkeypatch.setattr(landmark_head, "features",
                        lambda *_: (rng.permutation(values), np.tile(PLACES.ravel(), (200, 1))
                                    + rng.normal(0, 0.1, (200, 2 * len(POINTS)))))
    shipped, out = weights.read(MODEL / "onet.npz", ONET), tmp_path / "onet.npz"
    weights.write_arrays(tmp_path / "start.npz", {
        **shipped, "landmark/weights": 1e-6 * shipped["landmark/weights"],
        "landmark/biases": PLACES.ravel().astype(np.float32)})
    with pytest.raises(UserError, match="do not lower the error of held-out images"):
        landmark_head.main(Namespace(file=tmp_path / "start.npz", data=sample, out=out, seed=0))
    assert not out.exists()
