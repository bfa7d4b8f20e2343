"""A net as an ONNX model in memory, for other runtimes, at any height and width.

The few messages of the ONNX format (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) that these nets need
are written here in the protocol buffers wire format, so that writing them needs NumPy alone.
"""
import numpy as np

from config import HEADS, PNET, Conv, Dense, Pool, Stage
from detection.engines.protobuf import field
from detection.weights import trunk

IR_VERSION, OPSET = 8, 13
FLOAT = 1                                             # TensorProto.DataType
ATTRIBUTE_INT, ATTRIBUTE_INTS = 2, 7                  # AttributeProto.AttributeType


def _tensor(name, array):
    """TensorProto: dims 1, data_type 2, name 8, raw_data 9."""
    dims = b"".join(field(1, side) for side in array.shape)
    return dims + field(2, FLOAT) + field(8, name) + field(9, np.ascontiguousarray(array, np.float32).tobytes())


def _attribute(name, value):
    """AttributeProto: name 1, i 3, ints 8, type 20."""
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, ATTRIBUTE_INT)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, ATTRIBUTE_INTS)


def _node(operator, inputs, output, **attributes):
    """NodeProto: input 1, output 2, name 3, op_type 4, attribute 5."""
    message = b"".join(field(1, name) for name in inputs) + field(2, output) + field(3, output)
    return message + field(4, operator) + b"".join(field(5, _attribute(k, v)) for k, v in attributes.items())


def _value(name, dims):
    """ValueInfoProto of a float tensor; a dimension given as text is free."""
    shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def build(stage: Stage, arrays, heads=tuple(HEADS)) -> bytes:
    """Stage and its arrays -> ONNX model: input (N, 3, H, W) normalised BGR, one output a head.

    P-Net's outputs are maps (N, c, h, w), the others' (N, c); "face" is the softmax over (no face, face).
    """
    nodes, tensors, x = [], [], "input"

    def add(operator, inputs, output, **attributes):
        nodes.append(_node(operator, inputs, output, **attributes))
        return output

    def constant(name, array):
        tensors.append(_tensor(name, array))
        return name

    def affine(name, x, shape):
        """Convolution or dense layer `name` on x of (height, width, channels) or (units,)."""
        weights = arrays[f"{name}/weights"]
        bias = constant(f"{name}/biases", arrays[f"{name}/biases"])
        if weights.ndim == 4:
            weights = constant(f"{name}/weights", weights.transpose(3, 2, 0, 1))
            return add("Conv", [x, weights, bias], name)
        if len(shape) == 3:   # our rows count (height, width, channel), ONNX flattens (channel, height, width)
            weights = weights.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(len(weights), -1)
            x = add("Flatten", [x], f"{name}/flat", axis=1)
        return add("Gemm", [x, constant(f"{name}/weights", weights), bias], name)

    for name, layer, shape in trunk(stage):
        if isinstance(layer, Pool):
            x = add("MaxPool", [x], name, kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2,
                    ceil_mode=int(layer.pad_end))
        elif isinstance(layer, (Conv, Dense)):
            slopes = arrays[f"{name}/alphas"]
            slopes = slopes.reshape(-1, 1, 1) if isinstance(layer, Conv) else slopes
            x = add("PRelu", [affine(name, x, shape), constant(f"{name}/alphas", slopes)], f"{name}/prelu")
        else:
            for head in heads:
                y = affine(head, x, shape)
                if head == "face":
                    add("Softmax", [y], "face/softmax", axis=1)

    free = stage is PNET
    side = ["height", "width"] if free else [stage.size, stage.size]
    outputs = {output_name(head): ["batch", HEADS[head]] + (["rows", "columns"] if free else []) for head in heads}
    graph = b"".join(field(1, n) for n in nodes) + field(2, stage.name) + b"".join(field(5, t) for t in tensors)
    graph += field(11, _value("input", ["batch", 3, *side]))
    graph += b"".join(field(12, _value(name, dims)) for name, dims in outputs.items())
    return field(1, IR_VERSION) + field(7, graph) + field(8, field(1, "") + field(2, OPSET))


def output_name(head):
    """The name under which the model gives this head."""
    return "face/softmax" if head == "face" else head
