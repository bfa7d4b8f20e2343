"""A net as a TensorFlow GraphDef in memory: the form in which OpenCV runs it fastest, at any height and width.

OpenCV 5 has two implementations of its layers. It runs ONNX models on the newer one, which pads channels to multiples
of eight: the 3 of an image cost as much as 8, P-Net's 10 as much as 16. It runs TensorFlow graphs on the older one,
which does not pad and computes 3 x 3 convolutions by Winograd's method: 0.6 of the time for P-Net, 0.75 for R-Net, 0.9
for O-Net.

The few messages (tensorflow/core/framework/{graph,node_def,attr_value,tensor}.proto) are written here in the protocol
buffers wire format, so that detection needs NumPy and OpenCV alone.
"""
from collections.abc import Sequence

import numpy as np

from config import HEADS, Stage
from detection import network
from detection.engines import folded
from detection.engines.protobuf import field
from detection.network import INPUT, Convolution, FullyConnected, MaxPooling, PReLU
from detection.types import Arrays

FLOAT = field(6, 1)                                   # AttrValue: type DT_FLOAT
CHANNELS_FIRST = field(2, "NCHW")                     # AttrValue: s 2


def _tensor(array):
    """AttrValue: tensor 8. TensorProto: dtype 1, tensor_shape 2, tensor_content 4."""
    shape = b"".join(field(2, field(1, side)) for side in array.shape)
    return field(8, field(1, 1) + field(2, shape) + field(4, np.ascontiguousarray(array, np.float32).tobytes()))


def _text(value: str) -> bytes:
    """AttrValue: s 2."""
    return field(2, value)


def _sides(side):
    """AttrValue: list 1 of i 3: a kernel or stride of `side` rows and columns, in NCHW order."""
    return field(1, b"".join(field(3, number) for number in (1, 1, side, side)))


def _node(name, operator, inputs, attributes):
    """GraphDef's node 1. NodeDef: name 1, op 2, input 3, attr 5."""
    message = field(1, name) + field(2, operator) + b"".join(field(3, source) for source in inputs)
    return field(1, message + b"".join(field(5, field(1, k) + field(2, v)) for k, v in attributes.items()))


def build(stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS)) -> bytes:
    """A net -> GraphDef: pixels 0..255, float32 (N, 3, H, W) BGR -> "outputs" (N, c) or maps (N, c, h, w), joined as in
    folded.py."""
    nodes = [_node(INPUT, "Placeholder", [], {"dtype": FLOAT})]

    def add(name, operator, inputs, **attributes):
        nodes.append(_node(name, operator, inputs, attributes))
        return name

    def constant(name, array):
        return add(name, "Const", [], dtype=FLOAT, value=_tensor(array))

    operations, values = folded.fold(stage, arrays, heads)
    for operation in operations:
        name, x, names = operation.name, operation.source, list(operation.arrays)
        match operation:
            case MaxPooling():
                add(name, "MaxPool", [x], ksize=_sides(operation.kernel), strides=_sides(operation.stride),
                    padding=_text("SAME" if operation.pad_end else "VALID"), data_format=CHANNELS_FIRST)
            case PReLU():
                add(name, "PReLU", [x, constant(names[0], values[names[0]])])
            case Convolution():
                x = add(f"{name}/sum", "Conv2D", [x, constant(names[0], values[names[0]])], strides=_sides(1),
                        padding=_text("VALID"), data_format=CHANNELS_FIRST)
                add(name, "BiasAdd", [x, constant(names[1], values[names[1]])], data_format=CHANNELS_FIRST)
            case FullyConnected():
                weights = network.channels_first(values[names[0]], operation.input)
                if len(operation.input) == 3:
                    x = add(f"{name}/flat", "Flatten", [x], data_format=CHANNELS_FIRST)
                x = add(f"{name}/sum", "MatMul", [x, constant(names[0], weights)])
                add(name, "BiasAdd", [x, constant(names[1], values[names[1]])], data_format=CHANNELS_FIRST)
    return b"".join(nodes)
