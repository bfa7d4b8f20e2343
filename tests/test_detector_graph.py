"""The whole detector as one graph gives the faces of Detector: each run by its runtime."""
import numpy as np
import pytest

from config import CASCADE, MODEL, PICTURE
from detection import Detector, images, weights
from detection import boxes as bx
from export.cascade_graph import OUTPUTS
from export.targets import detector_onnx, detector_savedmodel

LOW = (0.1, 0.1, 0.1)           # thresholds at which noise has faces, too


@pytest.fixture(scope="module")
def arrays():
    return {stage.name: weights.read(MODEL / f"{stage.name}.npz", stage) for stage in CASCADE}


def opened(model):
    """ONNX model -> function of (image, min_face, thresholds) that gives its outputs by name."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda image, min_face=20, thresholds=(0.6, 0.7, 0.7): dict(zip(names, session.run(None, {
        "image": image, "min_face": np.array(min_face, np.float32), "thresholds": np.float32(thresholds)})))


@pytest.fixture(scope="module")
def detect(arrays):
    return opened(detector_onnx.build(arrays, outputs=tuple(OUTPUTS)))


def same(found, faces):
    """Best first; faces whose scores differ by rounding alone may change places."""
    assert found["boxes"].shape == faces.boxes.shape and found["landmarks"].shape == faces.landmarks.shape
    np.testing.assert_allclose(found["scores"], faces.scores, atol=1e-4)
    place = bx.iou(faces.boxes, found["boxes"]).argmax(axis=1) if len(faces) else np.zeros(0, int)
    assert sorted(place) == list(range(len(faces))) and np.all(np.diff(found["scores"]) <= 0)
    np.testing.assert_allclose(found["scores"][place], faces.scores, atol=1e-5)
    np.testing.assert_allclose(found["boxes"][place], faces.boxes, atol=0.01)
    np.testing.assert_allclose(found["landmarks"][place], faces.landmarks, atol=0.01)


def test_the_faces_of_a_picture_are_the_same(detect):
    image = images.read(PICTURE / "brothers.jpg")
    same(detect(image), Detector().detect(image))


@pytest.mark.parametrize("height, width, min_face",
                         [(1, 1, 20), (12, 12, 12), (11, 40, 9), (15, 900, 12), (97, 151, 20)])
def test_odd_sizes_give_the_same_after_each_net(detect, rng, height, width, min_face):
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = detect(image, min_face, LOW)
    stages = Detector(min_face_size=min_face, thresholds=LOW).trace(image)
    for name, faces in zip(("proposals", "refined"), stages):
        assert len(found[name]) == len(faces)
        if len(faces):                                                 # nearly equal scores may change places
            place = bx.iou(faces.boxes, found[name][:, :4]).argmax(axis=1)
            assert len(set(place)) == len(faces)
            np.testing.assert_allclose(found[name][place], np.column_stack([faces.boxes, faces.scores]), atol=0.01)
    same(found, stages[-1])


@pytest.mark.parametrize("share, height", [
    (0.5, 400), (0.25, 303), (0.1, 257), ((0.05, 0.1, 0.8), 300), ((0.8, 0.2, 0.1), 301), (0, 90)])
def test_dark_images_are_brightened_the_same(detect, share, height):
    image = (images.read(PICTURE / "astronaut.jpg")[:height] * share).astype(np.uint8)
    faces = Detector().detect(image)
    same(detect(image), faces)
    assert len(faces) == bool(np.any(share))


def test_a_minimum_face_below_one_pixel_counts_as_one(detect, rng):
    image = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    one = detect(image, 1, LOW)
    assert len(one["proposals"])
    for least in (-5, 0.5, 0):             # 0 last: where it counts as it is, the pyramid never ends
        for name, values in detect(image, least, LOW).items():
            np.testing.assert_array_equal(values, one[name])


def test_huge_faces_are_averaged_the_same(detect, rng):
    """Windows of many times a net's input: half scales, then means of interpolated pixels."""
    image = np.kron(images.read(PICTURE / "astronaut.jpg")[:400, :400], np.ones((4, 4, 1), np.uint8))
    same(detect(image, 120, (0.2, 0.2, 0.2)), Detector(min_face_size=120, thresholds=(0.2, 0.2, 0.2)).detect(image))


def test_rgb_is_another_order_of_channels(arrays):
    image = images.read(PICTURE / "astronaut.jpg")
    found = opened(detector_onnx.build(arrays, rgb=True))(np.ascontiguousarray(image[..., ::-1]))
    same(found, Detector().detect(image))


def test_the_file_is_standard_onnx(arrays):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(detector_onnx.build(arrays))
    onnx.checker.check_model(model)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 13)]
    assert [output.name for output in model.graph.output] == ["boxes", "scores", "landmarks"]


def graphs(graph):
    """A graph of an ONNX file and all within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def test_onnx_runtime_can_keep_maps_in_blocks_of_channels(arrays):
    """It does so where the weights stand beside their convolutions and their channels fill blocks."""
    onnx = pytest.importorskip("onnx")
    convolutions = 0
    for graph in graphs(onnx.load_from_string(detector_onnx.build(arrays)).graph):
        beside = {tensor.name: tensor.dims for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type in ("Conv", "BatchNormalization"):
                convolutions += node.op_type == "Conv"
                assert set(node.input[1:]) <= set(beside)
                assert beside[node.input[1]][0] % 16 == 0 or "outputs" in node.input[1]
    assert convolutions == 4 + 3 + 4 * 4          # P-Net, R-Net; O-Net runs in two passes, on windows and on faces


def test_openvino_gives_the_same_faces(arrays, rng):
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    model = core.read_model(detector_onnx.build(arrays))
    run = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    noise = rng.integers(0, 256, (97, 151, 3), dtype=np.uint8)
    thresholds = (0.6, 0.7, 0.7)
    for image, least in ((noise, LOW), (np.zeros((1, 1, 3), np.uint8), thresholds),
                         (images.read(PICTURE / "mosaic.jpg"), thresholds)):
        found = run({"image": image, "min_face": np.array(20, np.float32), "thresholds": np.float32(least)})
        same({output.get_any_name(): each for output, each in found.items()}, Detector(thresholds=least).detect(image))


def test_the_savedmodel_gives_the_same_faces(arrays, tmp_path):
    tf = pytest.importorskip("tensorflow")
    detector_savedmodel.write(arrays, tmp_path / "detector")
    serve = tf.saved_model.load(str(tmp_path / "detector")).signatures["serving_default"]
    for image in (images.read(PICTURE / "astronaut.jpg"), np.zeros((1, 1, 3), np.uint8)):
        found = serve(image=tf.constant(image), min_face=tf.constant(20.0), thresholds=tf.constant([0.6, 0.7, 0.7]))
        same({name: value.numpy() for name, value in found.items()}, Detector().detect(image))
