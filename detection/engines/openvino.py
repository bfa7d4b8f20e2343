"""OpenVINO as the engine, where its package is installed: for Intel's processors, and others of x86-64 and arm.

It prepares itself anew, for some 2 ms, for each new size of input. So P-Net's images are padded to multiples of PADDED
px, and batches of crops to 1, 2, 4, 8 ... crops: after a few images there are no new sizes.
"""
import functools
import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from config import HEADS, PNET_STRIDE, Stage
from detection import network
from detection.engines import folded
from detection.engines.pool import InterpreterPool
from detection.network import Convolution, FullyConnected, MaxPooling, PReLU
from detection.types import Arrays, Floats, Image

PADDED = 32         # px; 64 and more cost more for the padding than they save: [ours]


class Engine:
    """One net in OpenVINO, for any number of threads. ImportError where its package is not installed."""

    precision = "f32"           # asked for: processors with AMX would compute in bfloat16

    def __init__(self, stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS)):
        self.batch = network.crops_per_call(stage)
        self._stage, self._columns = stage, max(columns.stop for columns in folded.columns_of(heads).values())
        compiled = _core().compile_model(_model(stage, arrays, heads), "CPU", {
            "INFERENCE_PRECISION_HINT": self._precision(), "INFERENCE_NUM_THREADS": max(cv2.getNumThreads(), 1),
            "NUM_STREAMS": 1})
        self._requests = InterpreterPool(compiled.create_infer_request)

    def _precision(self) -> str:
        return self.precision

    def __call__(self, batch: Image) -> Floats:
        """uint8 (N, H, W, 3) -> float32 (N, c), or maps (N, h, w, c) of a fully convolutional net."""
        count, height, width = batch.shape[:3]
        if network.is_fully_convolutional(self._stage) and count == 1:
            if height % PNET_STRIDE == width % PNET_STRIDE == 0:        # else the last cells would see the padding
                batch = _padded(batch, (1, height + -height % PADDED, width + -width % PADDED))
        elif count:
            batch = _padded(batch, (1 << (count - 1).bit_length(), height, width))
        with self._requests.borrow() as request:
            request.infer([batch], share_inputs=True)
            outputs = request.get_output_tensor().data[:count]
            if outputs.ndim == 4:
                *_, last = network.operations(self._stage, {"outputs": self._columns}, (height, width))
                outputs = outputs[:, :last.output[0], :last.output[1]]
            return outputs.copy()


class Reduced(Engine):
    """The same with R-Net and O-Net in bfloat16, where the processor computes in it; P-Net's boxes would move."""

    def _precision(self) -> str:
        return "f32" if network.is_fully_convolutional(self._stage) else "bf16"


def _padded(batch: Image, shape: tuple[int, int, int]) -> Image:
    """Batch (N, H, W, 3) -> (*shape, 3), zero beyond it; contiguous."""
    if batch.shape[:3] == shape:
        return np.ascontiguousarray(batch)
    padded = np.zeros((*shape, 3), np.uint8)
    padded[:batch.shape[0], :batch.shape[1], :batch.shape[2]] = batch
    return padded


def installed() -> bool:
    """Whether OpenVINO's package is there."""
    return importlib.util.find_spec("openvino") is not None


@functools.cache
def _core() -> Any:
    return importlib.import_module("openvino").Core()


def _model(stage: Stage, arrays: Arrays, heads: Sequence[str]) -> Any:
    """A net -> OpenVINO's model: uint8 (N, H, W, 3) BGR -> float32 (N, c) or maps (N, h, w, c), as folded.py has it."""
    ov = importlib.import_module("openvino")
    op = importlib.import_module("openvino.opset8")
    free = network.is_fully_convolutional(stage)
    image = op.parameter([-1, -1, -1, 3] if free else [-1, stage.size, stage.size, 3], np.uint8)
    operations, values = folded.fold(stage, arrays, heads)
    x = op.transpose(op.convert(image, "f32"), [0, 3, 1, 2])
    for operation in operations:
        own = [np.ascontiguousarray(values[name], np.float32) for name in operation.arrays]
        match operation:
            case MaxPooling(kernel=kernel, stride=stride):
                x = op.max_pool(x, [stride] * 2, [1, 1], [0, 0], [0, 0], [kernel] * 2,
                                "ceil" if operation.pad_end else "floor").output(0)
            case PReLU():
                x = op.prelu(x, own[0])
            case Convolution():
                weights = np.ascontiguousarray(own[0].transpose(3, 2, 0, 1))
                x = op.convolution(x, weights, [1, 1], [0, 0], [0, 0], [1, 1]) + own[1].reshape(-1, 1, 1)
            case FullyConnected():
                weights = np.ascontiguousarray(network.channels_first(own[0], operation.input))
                if len(operation.input) == 3:
                    x = op.reshape(x, [-1, len(weights)], special_zero=False)
                x = op.matmul(x, weights, False, False) + own[1]
    return ov.Model([op.transpose(x, [0, 2, 3, 1]) if free else x], [image], stage.name)
