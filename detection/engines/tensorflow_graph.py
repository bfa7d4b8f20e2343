"""A net as a TensorFlow GraphDef in memory: the form in which OpenCV runs it fastest, at any height and width.

OpenCV 5 has two sets of layers. What comes as ONNX runs on the newer ones, which count channels in eights: the 3 of a
picture cost as much as 8, P-Net's 10 as much as 16. What comes as a TensorFlow graph runs on the older ones, which do
not, and multiply 3 x 3 convolutions by Winograd's method: 0.6 of the time for P-Net, 0.75 for R-Net, 0.9 for O-Net.

The few messages (tensorflow/core/framework/{graph,node_def,attr_value,tensor}.proto) are written here in the protocol
buffers wire format, so that detecting needs NumPy and OpenCV alone.
"""
import numpy as np

from config import HEADS, Pool, Stage
from detection.engines import folded
from detection.engines.protobuf import field

FLOAT = field(6, 1)                                   # AttrValue: type DT_FLOAT


def _tensor(array):
    """AttrValue: tensor 8. TensorProto: dtype 1, tensor_shape 2, tensor_content 4."""
    shape = b"".join(field(2, field(1, side)) for side in array.shape)
    return field(8, field(1, 1) + field(2, shape) + field(4, np.ascontiguousarray(array, np.float32).tobytes()))


def _text(value):
    """AttrValue: s 2."""
    return field(2, value)


def _sides(side):
    """AttrValue: list 1 of i 3; kernel or stride of that many rows and columns, in NCHW order."""
    return field(1, b"".join(field(3, number) for number in (1, 1, side, side)))


def _node(name, operator, inputs, attributes):
    """GraphDef's node 1. NodeDef: name 1, op 2, input 3, attr 5."""
    message = field(1, name) + field(2, operator) + b"".join(field(3, source) for source in inputs)
    return field(1, message + b"".join(field(5, field(1, k) + field(2, v)) for k, v in attributes.items()))


def build(stage: Stage, arrays, heads=tuple(HEADS)) -> bytes:
    """Stage and its arrays -> GraphDef: pixels 0..255 (N, 3, H, W) BGR -> "outputs" (N, c) or maps (N, c, h, w), the
    heads as folded.py joins them."""
    nodes = [_node("input", "Placeholder", [], {"dtype": FLOAT})]

    def add(name, operator, inputs, **attributes):
        nodes.append(_node(name, operator, inputs, attributes))
        return name

    def constant(name, array):
        return add(name, "Const", [], dtype=FLOAT, value=_tensor(array))

    def affine(name, x, weights, biases, shape):
        """Convolution or dense layer on x of (height, width, channels) or (units,)."""
        if weights.ndim == 4:
            x = add(f"{name}/sum", "Conv2D", [x, constant(f"{name}/weights", weights)], strides=_sides(1),
                    padding=_text("VALID"), data_format=_text("NCHW"))
        else:
            if len(shape) == 3:   # our rows count (height, width, channel), the graph flattens (channel, height, width)
                weights = weights.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(len(weights), -1)
                x = add(f"{name}/flat", "Flatten", [x], data_format=_text("NCHW"))
            x = add(f"{name}/sum", "MatMul", [x, constant(f"{name}/weights", weights)])
        return add(name, "BiasAdd", [x, constant(f"{name}/biases", biases)], data_format=_text("NCHW"))

    x = "input"
    for name, layer, shape, weights, biases, slopes in folded.layers(stage, arrays, heads):
        if isinstance(layer, Pool):
            x = add(name, "MaxPool", [x], ksize=_sides(layer.kernel), strides=_sides(layer.stride),
                    padding=_text("SAME" if layer.pad_end else "VALID"), data_format=_text("NCHW"))
            continue
        x = affine(name, x, weights, biases, shape)
        if slopes is not None:
            x = add(f"{name}/prelu", "PReLU", [x, constant(f"{name}/alphas", slopes)])
    return b"".join(nodes)
