"""Weights of other projects become ours, and files that could do harm do not."""
import importlib.util
from argparse import Namespace

import numpy as np
import pytest

from config import CASCADE, HEADS, ONET, PNET, RNET
from detection import UserError, weights
from detection.engines import Net
from export import import_weights, layouts
from export.targets import mtcnn
from test_nets import lively


def checkpoint(path, stage, arrays, scope=""):
    """Writes a checkpoint as the baselines' TensorFlow 1 code did: with the optimizer's; no dense slopes."""
    from tensorflow import Graph
    from tensorflow.compat import v1
    theirs = {ours: name for name, ours in layouts.TF1_HEADS.items() if name.startswith("conv") == (stage is PNET)}
    with Graph().as_default(), v1.Session() as session:
        for name, array in arrays.items():
            layer, part = name.split("/")
            if not (layer == "fc1" and part == "alphas"):
                v1.get_variable(f"{scope}{theirs.get(layer, layer)}/{part}", initializer=array)
                v1.get_variable(f"{scope}{theirs.get(layer, layer)}/{part}/Momentum", initializer=np.zeros_like(array))
        v1.get_variable("Variable", initializer=7)
        session.run(v1.global_variables_initializer())
        path.parent.mkdir(parents=True, exist_ok=True)
        v1.train.Saver().save(session, str(path), write_meta_graph=False)


@pytest.mark.parametrize("scoped", [False, True], ids=["A", "L"])
def test_checkpoints_of_both_baselines(tmp_path, rng, scoped):
    wanted = {}
    for stage, step in zip(CASCADE, (30, 22, 9)):
        scope = f"{stage.name[0].upper()}Net/" if scoped else ""
        checkpoint(tmp_path / "in" / stage.name / f"Net-{step}", stage, lively(stage, rng), scope)
        wanted[stage.name] = lively(stage, rng)
        checkpoint(tmp_path / "in" / stage.name / f"Net-{step + 1}", stage, wanted[stage.name], scope)   # it counts
    import_weights.main(Namespace(source=str(tmp_path / "in"), out=tmp_path / "out"))
    for stage in CASCADE:
        found = weights.read(tmp_path / "out" / f"{stage.name}.npz", stage)
        for name, array in wanted[stage.name].items():
            expected = np.zeros_like(array) if name == "fc1/alphas" else array       # ReLU
            np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_the_script_says_what_is_wrong(tmp_path, script):
    error = script("export/import_weights.py", tmp_path / "nowhere", "--out", tmp_path, code=2).stderr
    assert error.startswith("error: ") and "nowhere: holds no weights" in error and error.count("\n") == 1


def test_a_net_that_is_missing_is_named(tmp_path, rng):
    checkpoint(tmp_path / "in" / "RNet-14", RNET, lively(RNET, rng))
    with pytest.raises(UserError, match="holds no weights of pnet, onet"):
        import_weights.main(Namespace(source=str(tmp_path / "in"), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_half_a_checkpoint_is_named(tmp_path, rng):
    checkpoint(tmp_path / "PNet-30", PNET, lively(PNET, rng))
    data = tmp_path / "PNet-30.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(UserError, match="PNet-30: is not a complete TensorFlow checkpoint"):
        import_weights.from_checkpoints(tmp_path)


@pytest.mark.parametrize("stage", CASCADE, ids=lambda s: s.name)
def test_what_goes_out_to_mtcnn_comes_back(tmp_path, rng, stage):
    pytest.importorskip("joblib"), pytest.importorskip("lz4")
    arrays = lively(stage, rng)
    mtcnn.write(stage, arrays, tmp_path / f"{stage.name}.lz4")
    path, back = import_weights.from_mtcnn(tmp_path)[stage.name]
    for name in layouts.used(stage, arrays):
        np.testing.assert_array_equal(back[name], arrays[name], err_msg=name)


def test_the_authors_weights_give_what_their_package_gives(rng):
    pytest.importorskip("joblib"), pytest.importorskip("lz4")
    spec = importlib.util.find_spec("mtcnn")
    if not spec:
        pytest.skip("mtcnn is not installed")
    from mtcnn.stages import StageONet
    folder = f"{spec.submodule_search_locations[0]}/assets/weights"
    _, arrays = import_weights.from_mtcnn(folder)["onet"]
    crops = rng.integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    ours = dict(zip(HEADS, Net(ONET, arrays)(crops)))
    rgb = (crops[..., ::-1].astype(np.float32) - 127.5) / 128
    box, points, face = (np.asarray(out) for out in StageONet().model(rgb))
    np.testing.assert_allclose(ours["box"], box, atol=1e-5)
    np.testing.assert_allclose(ours["face"], face, atol=1e-5)
    points = points.reshape(-1, 2, 5).transpose(0, 2, 1)
    np.testing.assert_allclose(ours["landmark"].reshape(-1, 5, 2), points, atol=1e-5)


class Harm:
    def __reduce__(self):
        import os
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("content", [[Harm()], np.array([Harm()], object)], ids=["object", "array of objects"])
def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch, content):
    joblib = pytest.importorskip("joblib")
    pytest.importorskip("lz4")
    monkeypatch.chdir(tmp_path)
    joblib.dump(content, "onet.lz4", compress=("lz4", 1))
    with pytest.raises(UserError, match="onet.lz4: is not a list of plain arrays"):
        import_weights.from_mtcnn(tmp_path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [7, "text", [1.5], None, {"a": np.zeros(3)}], ids=repr)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    joblib = pytest.importorskip("joblib")
    pytest.importorskip("lz4")
    joblib.dump(content, tmp_path / "onet.lz4", compress=("lz4", 1))
    with pytest.raises(UserError, match="onet.lz4: is not a list of plain arrays"):
        import_weights.from_mtcnn(tmp_path)


def test_weights_of_another_net_are_refused(tmp_path, rng):
    pytest.importorskip("joblib"), pytest.importorskip("lz4")
    mtcnn.write(RNET, lively(RNET, rng), tmp_path / "onet.lz4")
    with pytest.raises(UserError, match="onet.lz4: .* not those of onet"):
        import_weights.from_mtcnn(tmp_path)
