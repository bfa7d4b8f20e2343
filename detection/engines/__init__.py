"""Runs one net on a batch of uint8 images: through TensorFlow Lite where it is installed, else through OpenCV.

Measured in bench/README.md: TensorFlow Lite takes less than half of OpenCV's time for R-Net and O-Net. Both give the
same to the last digits; the tests compare them with each other and with TensorFlow.
"""
from pathlib import Path

import cv2
import numpy as np

from config import HEADS, NET_PIXELS, Stage
from detection.engines import folded, lite, tensorflow_graph
from detection import weights


class OpenCV:
    """The engine that needs no more than detection does anyway. Called like lite.Engine."""

    def __init__(self, stage: Stage, arrays, heads=tuple(HEADS)):
        graph = np.frombuffer(tensorflow_graph.build(stage, arrays, heads), np.uint8)
        self._net = cv2.dnn.readNetFromTensorflow(graph, engine=cv2.dnn.ENGINE_CLASSIC)
        self._net.enableFusion(False)      # a PReLU fused with its convolution takes longer than the two

    def __call__(self, batch):
        """uint8 (N, H, W, 3) -> float32 (N, c), or P-Net's (N, h, w, c)."""
        self._net.setInput(batch.transpose(0, 3, 1, 2).astype(np.float32, order="C"))
        return np.moveaxis(self._net.forward(), 1, -1)


def fastest():
    """The fastest engine that is installed."""
    return lite.Engine if lite.library() else OpenCV


class Net:
    """One net of the cascade. Of the heads, only the named ones are computed."""

    def __init__(self, stage: Stage, arrays, heads=tuple(HEADS), engine=None):
        self._heads = heads
        self._columns = folded.columns(heads)
        engine = engine or fastest()
        self._batch = getattr(engine, "batch", max(NET_PIXELS // stage.size ** 2, 1))
        self._forward = engine(stage, arrays, heads)

    @classmethod
    def load(cls, folder, stage: Stage, heads=tuple(HEADS), engine=None):
        """The net with the weights of `folder`; UserError where they are missing or not this net's."""
        return cls(stage, weights.read(Path(folder) / f"{stage.name}.npz", stage), heads, engine)

    def maps(self, image):
        """P-Net on one image of any size: uint8 (H, W, 3) -> a list of maps (h, w, c), one a head."""
        return [out[0] for out in self._split(self._forward(image[None]))]

    def __call__(self, crops):
        """uint8 (N, size, size, 3) -> a list of float32 (N, c), one a head."""
        parts = [self._forward(crops[i:i + self._batch]) for i in range(0, len(crops), self._batch)]
        if not parts:
            return [np.zeros((0, HEADS[head]), np.float32) for head in self._heads]
        return self._split(np.concatenate(parts).reshape(len(crops), -1))

    def _split(self, outputs):
        """Outputs (N, ..., c) -> one array (N, ..., c) a head, the logit of the face as (no face, face)."""
        arrays = []
        for head in self._heads:
            array = outputs[..., self._columns[head]]
            if head == "face":
                score = 1 / (1 + np.exp(-array))
                array = np.concatenate([1 - score, score], axis=-1)
            arrays.append(array)
        return arrays
