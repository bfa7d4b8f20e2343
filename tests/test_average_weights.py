"""train/average_weights.py: the mean of nets with a common start, and of no others."""
import numpy as np

from config import MODEL, PNET, RNET
from detection import weights

SCRIPT = "train/average_weights.py"


def write(path, arrays):
    weights.write_arrays(path, arrays)
    return path


def test_the_average_lies_between_and_may_take_a_files_place(tmp_path, script, rng):
    shipped = weights.read(MODEL / "rnet.npz", RNET)
    moved = {name: array + rng.normal(0, 0.01, array.shape).astype(np.float32) for name, array in shipped.items()}
    a, b = write(tmp_path / "a.npz", shipped), write(tmp_path / "b.npz", moved)
    assert "the mean of 3 times rnet" in script(SCRIPT, 24, a, b, b, "--out", b).stdout
    for name, array in weights.read(b, RNET).items():
        np.testing.assert_allclose(array, (shipped[name] + 2 * moved[name]) / 3, rtol=1e-5, atol=1e-7)


def test_unrelated_nets_are_refused(tmp_path, script, rng):
    shipped = weights.read(MODEL / "rnet.npz", RNET)
    unrelated = {name: rng.permutation(array.ravel()).reshape(array.shape) for name, array in shipped.items()}
    a, b = write(tmp_path / "a.npz", shipped), write(tmp_path / "b.npz", unrelated)
    done = script(SCRIPT, 24, a, b, "--out", tmp_path / "c.npz", code=2)
    assert "b.npz: does not have the same start as" in done.stderr and not (tmp_path / "c.npz").exists()
    assert "needs at least two files" in script(SCRIPT, 24, a, "--out", tmp_path / "c.npz", code=2).stderr
    assert "does not hold pnet" in script(SCRIPT, 12, a, b, "--out", tmp_path / "c.npz", code=2).stderr


def test_a_landmark_head_that_detection_does_not_use_hinders_no_average(tmp_path, script):
    """P-Net before and after a training on tiles, which have no landmarks."""
    shipped = weights.read(MODEL / "pnet.npz", PNET)
    landmarks = {name for name in shipped if name.startswith("landmark/")}
    a = write(tmp_path / "a.npz", shipped)
    b = write(tmp_path / "b.npz", {name: 0 * array if name in landmarks else 1.1 * array
                                   for name, array in shipped.items()})
    assert "the mean of 2 times pnet" in script(SCRIPT, 12, a, b, "--out", a).stdout
    for name, array in weights.read(a, PNET).items():
        np.testing.assert_allclose(array, 0 if name in landmarks else 1.05 * shipped[name], rtol=1e-5, atol=1e-7)
