"""Mining on a GPU. None is needed: the same code runs on the processor, where TensorFlow then stands for it."""
import numpy as np

from config import CASCADE, MODEL
from conftest import ROOT
from detection import Detector, images
from detection.engines import tensorflow_gpu
from preprocess import partial_cascade

PICTURE = ROOT / "picture" / "mosaic.jpg"


def test_mining_on_tensorflow_finds_what_detection_finds():
    image = images.read(PICTURE)
    ours, theirs = (Detector(nets, 20, stages=3).detect(image) for nets in (MODEL, tensorflow_gpu.load(MODEL, 3)))
    assert len(ours) == len(theirs) > 5
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.1)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-3)


def test_a_gpu_is_used_where_there_is_one_and_only_there(monkeypatch):
    import tensorflow as tf
    grown = []
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda *which: grown.append(which))
    for driver, devices, used in (("/no/such", ["GPU:0"], False), ("/dev/null", [], False),
                                  ("/dev/null", ["GPU:0"], True)):
        monkeypatch.setattr(tensorflow_gpu, "DRIVERS", (driver,))
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices)
        partial_cascade.detector.cache_clear()
        detector = partial_cascade.detector(MODEL, 20, (0.6, 0.7), 2)
        assert [isinstance(net._engine, tensorflow_gpu.Engine) for net in detector.nets] == [used] * 2
        assert len(detector.nets) == len(CASCADE[:2])
    partial_cascade.detector.cache_clear()
    assert grown == [("GPU:0", True)]
