"""train/landmark_head.py: the least mean distance, bad and missing labels, and that nothing else of the net changes."""
import re
from argparse import Namespace

import numpy as np
import pytest

from config import MODEL, ONET, POINTS
from detection import UserError, weights
from train import landmark_head

SCRIPT = "train/landmark_head.py"
PLACES = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])


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
