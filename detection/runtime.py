"""Runs one net on a batch of uint8 images, through OpenCV's dnn module."""
from pathlib import Path

import cv2
import numpy as np

from config import HEADS, NET_BATCH, Stage
from detection import images, onnx_graph, weights


class Net:
    """One net of the cascade. Of the heads, only the named ones are computed."""

    def __init__(self, stage: Stage, arrays, heads=tuple(HEADS)):
        self._heads = heads
        self._outputs = [onnx_graph.output_name(head) for head in heads]
        model = onnx_graph.build(stage, arrays, heads)
        self._net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))

    @classmethod
    def load(cls, folder, stage: Stage, heads=tuple(HEADS)):
        """The net with the weights of `folder`; UserError where they are missing or not this net's."""
        return cls(stage, weights.read(Path(folder) / f"{stage.name}.npz", stage), heads)

    def maps(self, image):
        """P-Net on one image of any size: uint8 (H, W, 3) -> a list of maps (h, w, c), one a head."""
        return [np.moveaxis(out[0], 0, -1) for out in self._forward(image[None])]

    def __call__(self, crops):
        """uint8 (N, size, size, 3) -> a list of float32 (N, c), one a head; "face" is (no face, face)."""
        parts = [self._forward(crops[i:i + NET_BATCH]) for i in range(0, len(crops), NET_BATCH)]
        if not parts:
            return [np.zeros((0, HEADS[head]), np.float32) for head in self._heads]
        return [np.concatenate(outs).reshape(len(crops), -1) for outs in zip(*parts)]

    def _forward(self, batch):
        self._net.setInput(images.blob(batch))
        return self._net.forward(self._outputs)
