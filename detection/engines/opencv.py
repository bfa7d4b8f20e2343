"""OpenCV as the engine: it needs no package that detection does not need anyway."""
from collections.abc import Sequence

import cv2
import numpy as np

from config import HEADS, Stage
from detection import network
from detection.engines import tensorflow_graph
from detection.engines.pool import InterpreterPool
from detection.types import Arrays, Floats, Image


class Engine:
    """One net in OpenCV's dnn module, for any number of threads."""

    def __init__(self, stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS)):
        self.batch = network.crops_per_call(stage)
        graph = np.frombuffer(tensorflow_graph.build(stage, arrays, heads), np.uint8)
        self._nets = InterpreterPool(lambda: _read(graph))

    def __call__(self, batch: Image) -> Floats:
        """uint8 (N, H, W, 3) -> float32 (N, c), or maps (N, h, w, c) of a fully convolutional net."""
        planes = batch.transpose(0, 3, 1, 2).astype(np.float32, order="C")
        with self._nets.borrow() as net:
            net.setInput(planes)
            return np.moveaxis(np.asarray(net.forward(), np.float32), 1, -1)


def _read(graph: np.ndarray) -> cv2.dnn.Net:
    """The net of a TensorFlow graph, uint8 (N,)."""
    net = cv2.dnn.readNetFromTensorflow(graph, engine=cv2.dnn.ENGINE_CLASSIC)
    net.enableFusion(False)      # a PReLU fused with its convolution takes longer than the two
    return net
