"""The engines, the Keras models and the weights files agree with each other."""
import subprocess
import sys

import numpy as np
import pytest

from config import CASCADE, HEADS, ONET, PNET, RNET
from conftest import ROOT
from detection import engines, weights
from detection.engines import Net, lite, opencv, tensorflow_gpu
from detection.errors import UserError
from detection.images import normalize
from train import nets


def lively(stage, rng):
    """Arrays of a stage with biases and slopes that differ, so that a mix-up shows."""
    arrays = {}
    for name, shape in weights.shapes(stage).items():
        kind = name.split("/")[1]
        spread = 1.5 / np.sqrt(np.prod(shape[:-1])) if kind == "weights" else 0.1
        arrays[name] = (rng.normal(0, spread, shape) + (0.25 if kind == "alphas" else 0)).astype(np.float32)
    return arrays


def keras_net(stage, arrays):
    model = nets.build(stage)
    nets.assign(model, stage, arrays)
    return model


def trained_net(stage, rng):
    """A model whose normalisations have seen something: statistics, gains and shifts that differ."""
    model = keras_net(stage, lively(stage, rng))
    for layer in model.layers:
        if layer.name.endswith("_norm"):
            for variable, low, high in ((layer.gamma, 0.5, 2), (layer.beta, -0.3, 0.3), (layer.moving_mean, -0.3, 0.3),
                                        (layer.moving_variance, 0.5, 3)):
                variable.assign(rng.uniform(low, high, variable.shape))
    return model


def softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("stage, published", [(PNET, 6_962), (RNET, 101_340 + 128), (ONET, 388_784 + 256)])
def test_parameters_are_those_of_the_paper(stage, published):
    folded = nets.arrays(nets.build(stage), stage)
    assert sum(array.size for array in folded.values()) == published == stage.parameters
    assert {name: array.shape for name, array in folded.items()} == weights.shapes(stage)


ENGINES = [lite.Engine, opencv.Engine, tensorflow_gpu.Engine]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stage", CASCADE, ids=lambda s: s.name)
def test_runtime_gives_what_training_gave(stage, engine, rng):
    model = trained_net(stage, rng)
    crops = rng.integers(0, 256, (300, stage.size, stage.size, 3), dtype=np.uint8)
    trained = {k: np.asarray(v) for k, v in nets.flat(model(normalize(crops.astype(np.float32)))).items()}
    run = Net(stage, nets.arrays(model, stage), engine=engine)(crops)       # 300 is more than one call takes
    np.testing.assert_allclose(run[0], softmax(trained["face"]), atol=2e-5)
    np.testing.assert_allclose(run[1], trained["box"], atol=2e-4)
    np.testing.assert_allclose(run[2], trained["landmark"], atol=2e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("height, width", [(12, 12), (13, 40), (57, 30), (96, 131)])
def test_pnet_on_a_crop_equals_its_map_cell(rng, height, width, engine):
    net = Net(PNET, lively(PNET, rng), engine=engine)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    maps = net.maps(image)
    rows, columns = maps[0].shape[:2]
    # The pool before the map is 2 wide, and its last window may be incomplete: then the map has a cell more
    assert rows == (height - 2 + 1) // 2 - 4 and columns == (width - 2 + 1) // 2 - 4
    for row, column in [(0, 0), ((height - 12) // 2, (width - 12) // 2), (0, (width - 12) // 2)]:
        crop = image[2 * row:2 * row + 12, 2 * column:2 * column + 12]
        for one, many in zip(net(crop[None]), maps):
            np.testing.assert_allclose(one[0], many[row, column], atol=1e-5)


def test_runtime_takes_no_crops(rng):
    assert [out.shape for out in Net(RNET, lively(RNET, rng))(np.zeros((0, 24, 24, 3), np.uint8))] == \
        [(0, n) for n in HEADS.values()]


def test_runtime_computes_the_wanted_heads_only(rng):
    arrays = lively(ONET, rng)
    crops = rng.integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    for few, all_ in zip(Net(ONET, arrays, ("face", "box"))(crops), Net(ONET, arrays)(crops)):
        np.testing.assert_allclose(few, all_, atol=1e-6)


def test_without_tensorflow_opencv_runs_the_nets(rng, monkeypatch):
    monkeypatch.setattr(lite, "library", lambda: None)
    crops = rng.integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    arrays = lively(RNET, rng)
    without = Net(RNET, arrays)
    assert engines.fastest() is opencv.Engine
    monkeypatch.undo()
    for ours, theirs in zip(without(crops), Net(RNET, arrays, engine=lite.Engine)(crops)):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("other", [None, type("Other", (), {"CreateWrapperFromBuffer": lambda model: model}), object()])
def test_another_version_of_the_interpreter_is_left_alone(monkeypatch, other):
    lite.library.cache_clear()
    monkeypatch.setattr(lite, "_load", lambda: other)
    try:
        assert lite.library() is None and engines.fastest() is opencv.Engine
    finally:
        lite.library.cache_clear()


@pytest.mark.parametrize("order", ["detect(); import tensorflow as tf", "import tensorflow as tf; detect()"])
def test_the_interpreter_and_tensorflow_get_on(order):
    """In either order, in a process of their own: two copies of the library would clash."""
    code = ("import sys, numpy as np; from detection import Detector; from detection.engines import lite\n"
            "def detect():\n    Detector(min_face_size=40).detect(np.zeros((80, 90, 3), np.uint8))\n"
            "    print(lite.library() is not None, 'tensorflow' in sys.modules)\n"
            f"{order}\ntf.lite.Interpreter; print(tf.lite.experimental.OpResolverType.AUTO.value)\n"
            "from tensorflow.lite.python.interpreter import _interpreter_wrapper as w; print(w.CreateWrapperFromFile)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"True {order.startswith('import')}\n")


def test_detecting_does_not_import_tensorflow_and_says_nothing(tmp_path):
    code = ("import sys, numpy as np; from detection import Detector\n"
            "Detector(min_face_size=40).detect(np.zeros((80, 90, 3), np.uint8)); print('tensorflow' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_weights_survive_the_file_and_the_model(tmp_path, rng):
    arrays = lively(RNET, rng)
    weights.write_arrays(tmp_path / "rnet.npz", nets.arrays(keras_net(RNET, arrays), RNET))
    back = weights.read(tmp_path / "rnet.npz", RNET)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(back[name], array, rtol=1e-6)
    first = (tmp_path / "rnet.npz").read_bytes()
    weights.write_arrays(tmp_path / "rnet.npz", back)
    assert (tmp_path / "rnet.npz").read_bytes() == first             # the same arrays are the same bytes
    assert [p.name for p in tmp_path.iterdir()] == ["rnet.npz"]


def test_wrong_weights_are_named(tmp_path, rng):
    path = tmp_path / "pnet.npz"
    with pytest.raises(UserError, match="no such weights"):
        weights.read(path, PNET)
    weights.write_arrays(path, lively(RNET, rng))
    with pytest.raises(UserError, match="does not hold pnet"):
        weights.read(path, PNET)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="is not a .*weights file"):
        weights.read(path, PNET)
    broken = lively(PNET, rng)
    broken["face/biases"][0] = np.nan
    weights.write_arrays(path, broken)
    with pytest.raises(UserError, match="not finite"):
        weights.read(path, PNET)


def test_the_start_of_training_follows_from_the_seed():
    def start(seed):
        return nets.arrays(nets.build(PNET, seed), PNET)["conv2/weights"]
    np.testing.assert_array_equal(start(3), start(3))
    assert (start(3) != start(4)).any()
