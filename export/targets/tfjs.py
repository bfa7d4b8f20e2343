"""TensorFlow.js' graph model: normalized BGR (N, H, W, 3) -> the heads that detection uses.

The format is TensorFlow's GraphDef as JSON, its constants in a file of their own. It is written here, as the package
tensorflowjs, whose converter writes it, cannot be installed beside this project's NumPy.
"""
import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import HEADS, Stage
from detection import network
from detection.network import INPUT, Convolution, FullyConnected, MaxPooling, PReLU
from export import layouts
from export.targets.savedmodel import Static

FLOAT = {"type": "DT_FLOAT"}


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .json file and, beside it, a .bin file with float32 weights; sizes are always free."""
    heads = layouts.USED[stage.name]
    graph = _Graph()
    side = -1 if network.is_fully_convolutional(stage) else stage.size
    graph.add(INPUT, "Placeholder", [], dtype=FLOAT, shape={"shape": _shape([-1, side, side, 3])})
    for operation in network.operations(stage, {head: HEADS[head] for head in heads}):
        _add(graph, operation, arrays)
    graph.add("face/softmax", "Softmax", ["face"], T=FLOAT)
    outputs = {head: {"name": "face/softmax:0" if head == "face" else f"{head}:0", "dtype": "DT_FLOAT"}
               for head in heads}
    model = {"format": "graph-model", "generatedBy": "", "convertedBy": "",
             "signature": {"inputs": {INPUT: {"name": f"{INPUT}:0", "dtype": "DT_FLOAT",
                                              "tensorShape": _shape([-1, side, side, 3])}}, "outputs": outputs},
             "modelTopology": {"node": graph.nodes, "versions": {"producer": 1}},
             "weightsManifest": [{"paths": [f"{stage.name}.bin"], "weights": graph.weights}]}
    path.write_text(json.dumps(model), encoding="utf-8")
    path.with_suffix(".bin").write_bytes(b"".join(graph.data))


class _Graph:
    """The nodes, and the constants in the order of the file."""

    def __init__(self):
        self.nodes, self.weights, self.data = [], [], []

    def add(self, name, operator, inputs, **attributes):
        self.nodes.append({"name": name, "op": operator, "input": inputs, "attr": attributes})
        return name

    def constant(self, name, array):
        kind = "DT_INT32" if array.dtype == np.int32 else "DT_FLOAT"
        self.weights.append({"name": name, "shape": list(array.shape), "dtype": array.dtype.name})
        self.data.append(np.ascontiguousarray(array).tobytes())
        return self.add(name, "Const", [], dtype={"type": kind},
                        value={"tensor": {"dtype": kind, "tensorShape": _shape(array.shape)}})


def _add(graph: _Graph, operation: network.Operation, arrays: Mapping[str, np.ndarray]) -> None:
    name, x = operation.name, operation.source
    own = [graph.constant(each, arrays[each]) for each in operation.arrays]
    match operation:
        case MaxPooling(kernel=kernel, stride=stride):
            graph.add(name, "MaxPool", [x], T=FLOAT, ksize=_sides(kernel), strides=_sides(stride),
                      padding=_text("SAME" if operation.pad_end else "VALID"), data_format=_text("NHWC"))
        case PReLU():
            graph.add(name, "Prelu", [x, own[0]], T=FLOAT)
        case Convolution():
            summed = graph.add(f"{name}/sum", "Conv2D", [x, own[0]], T=FLOAT, strides=_sides(1), dilations=_sides(1),
                               padding=_text("VALID"), data_format=_text("NHWC"))
            graph.add(name, "BiasAdd", [summed, own[1]], T=FLOAT, data_format=_text("NHWC"))
        case FullyConnected():
            if len(operation.input) == 3:
                shape = graph.constant(f"{name}/shape", np.int32([-1, len(arrays[f"{name}/weights"])]))
                x = graph.add(f"{name}/flat", "Reshape", [x, shape], T=FLOAT)
            summed = graph.add(f"{name}/sum", "MatMul", [x, own[0]], T=FLOAT, transpose_a={"b": False},
                               transpose_b={"b": False})
            graph.add(name, "BiasAdd", [summed, own[1]], T=FLOAT, data_format=_text("NHWC"))


def _text(text: str) -> dict:
    return {"s": base64.b64encode(text.encode()).decode()}


def _sides(side: int) -> dict:
    """A kernel or stride of `side` rows and columns."""
    return {"list": {"i": [str(number) for number in (1, side, side, 1)]}}


def _shape(sides: Sequence[int]) -> dict:
    return {"dim": [{"size": str(side)} for side in sides]}
