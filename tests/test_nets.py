"""The engines, the Keras models and the weights files agree with each other."""
import subprocess
import sys

import numpy as np
import pytest

from config import CASCADE, HEADS, ONET, PNET, RNET
from conftest import ROOT
from detection import Detector, engines, weights
from detection.engines import Net, lite, opencv, openvino, tensorflow_gpu
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


WITH_OPENVINO = pytest.mark.skipif(not openvino.installed(), reason="OpenVINO is not installed")
ENGINES = [lite.Engine, opencv.Engine, tensorflow_gpu.Engine, pytest.param(openvino.Engine, marks=WITH_OPENVINO)]


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


def test_without_litert_opencv_runs_the_nets(rng, monkeypatch):
    monkeypatch.setattr(lite, "maker", lambda: None)
    crops = rng.integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    arrays = lively(RNET, rng)
    without = Net(RNET, arrays)
    assert engines.fastest() is opencv.Engine
    monkeypatch.undo()
    for ours, theirs in zip(without(crops), Net(RNET, arrays, engine=lite.Engine)(crops)):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.fixture
def fresh():
    """LiteRT's library is looked for anew, now and after the test."""
    lite.maker.cache_clear()
    yield
    lite.maker.cache_clear()


@pytest.mark.parametrize("other", [type("Other", (), {"CreateWrapperFromBuffer": lambda model: model}), object()])
def test_another_version_of_the_interpreter_is_left_alone(monkeypatch, fresh, other):
    monkeypatch.setattr(lite, "_libraries", lambda: iter([other]))
    assert lite.maker() is None and engines.fastest() is opencv.Engine


@pytest.mark.parametrize("library", lite.LIBRARIES)
def test_each_package_s_library_runs_the_nets(rng, monkeypatch, fresh, library):
    pytest.importorskip(library.partition(".")[0])
    monkeypatch.setattr(lite, "LIBRARIES", (library,))
    assert lite.maker().args[0] is sys.modules[library]
    for stage in CASCADE:
        arrays, crops = lively(stage, rng), rng.integers(0, 256, (70, stage.size, stage.size, 3), dtype=np.uint8)
        for ours, theirs in zip(Net(stage, arrays, engine=lite.Engine)(crops), Net(stage, arrays, engine=opencv.Engine)
                                (crops)):
            np.testing.assert_allclose(ours, theirs, atol=2e-4)


@pytest.mark.parametrize("order", ["detect(); imports()", "imports(); detect()"])
def test_litert_s_package_and_the_engine_get_on(order):
    pytest.importorskip("ai_edge_litert")
    code = ("import numpy as np; from detection import Detector; from detection.engines import lite\n"
            "lite.LIBRARIES = lite.LIBRARIES[1:]\n"
            "def imports():\n    from ai_edge_litert import interpreter; interpreter.Interpreter\n"
            "def detect():\n    Detector(engine='litert').detect(np.zeros((80, 90, 3), np.uint8))\n" + order)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_engines_are_chosen_by_name(monkeypatch):
    assert {type(net._engine) for net in Detector(engine="opencv").nets} == {opencv.Engine}
    with pytest.raises(UserError, match="no engine tensorrt; choose one of litert, opencv"):
        Detector(engine="tensorrt")
    monkeypatch.setattr(openvino, "installed", lambda: False)
    with pytest.raises(UserError, match="openvino-bfloat16 needs the Python package openvino"):
        Detector(engine="openvino-bfloat16")
    monkeypatch.setattr(lite, "maker", lambda: None)
    with pytest.raises(UserError, match="requirements-detect.txt"):
        Detector(engine="litert")


@WITH_OPENVINO
def test_openvino_prepares_itself_for_few_sizes_only(rng, monkeypatch):
    """And the padding changes nothing: sizes that are not even are not padded."""
    seen = set()
    monkeypatch.setattr(openvino, "_padded", lambda batch, shape, padded=openvino._padded:
                        seen.add(shape) or padded(batch, shape))
    stage, arrays = PNET, lively(PNET, rng)
    ours, theirs = (Net(stage, arrays, engine=engine) for engine in (openvino.Engine, lite.Engine))
    for height, width in ((12, 12), (14, 30), (60, 62), (64, 64), (13, 30), (40, 33)):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for one, other in zip(ours.maps(image), theirs.maps(image)):
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert seen == {(1, 32, 32), (1, 64, 64)}
    net = Net(RNET, lively(RNET, rng), engine=openvino.Engine)
    seen.clear()
    for count in range(1, 20):
        net(np.zeros((count, 24, 24, 3), np.uint8))
    assert {shape[0] for shape in seen} == {1, 2, 4, 8, 16, 32}


@WITH_OPENVINO
def test_bfloat16_is_for_rnet_and_onet_alone(rng):
    for stage in CASCADE:
        arrays, crops = lively(stage, rng), rng.integers(0, 256, (8, stage.size, stage.size, 3), dtype=np.uint8)
        full, reduced = (Net(stage, arrays, engine=engine)(crops) for engine in (openvino.Engine, openvino.Reduced))
        np.testing.assert_allclose(reduced[0], full[0], atol=0 if stage is PNET else 0.05)


@pytest.mark.parametrize("order", ["detect(); import tensorflow as tf", "import tensorflow as tf; detect()"])
def test_the_interpreter_and_tensorflow_get_on(order):
    """In either order, in a process of their own: two copies of the library would clash."""
    code = ("import sys, numpy as np; from detection import Detector; from detection.engines import lite\n"
            "def detect():\n    Detector(min_face_size=40).detect(np.zeros((80, 90, 3), np.uint8))\n"
            "    print(lite.maker() is not None, 'tensorflow' in sys.modules)\n"
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
