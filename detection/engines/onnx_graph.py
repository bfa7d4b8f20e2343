"""A net as an ONNX model in memory, for other runtimes, at any height and width.

The few messages of the ONNX format (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) that these nets need
are written here in the protocol buffers wire format, so that writing them needs NumPy alone.
"""
from collections.abc import Sequence

import numpy as np

from config import HEADS, Stage
from detection import network
from detection.engines.protobuf import field
from detection.network import INPUT, Convolution, FullyConnected, MaxPooling, PReLU
from detection.types import Arrays

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
    """ValueInfoProto of a float tensor; a dimension given as text can have any size."""
    shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def build(stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS)) -> bytes:
    """A net -> ONNX model: normalized BGR, float32 (N, 3, H, W) -> one output for each head (`output_name`).

    A fully convolutional net gives maps (N, c, h, w), another (N, c); "face" is the softmax over (no face, face).
    """
    nodes, tensors = [], []

    def add(operator, inputs, output, **attributes):
        nodes.append(_node(operator, inputs, output, **attributes))
        return output

    def constant(name, array):
        tensors.append(_tensor(name, array))
        return name

    operations = list(network.operations(stage, {head: HEADS[head] for head in heads}))
    for operation in operations:
        name, x, names = operation.name, operation.source, list(operation.arrays)
        match operation:
            case MaxPooling(kernel=kernel, stride=stride):
                add("MaxPool", [x], name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                    ceil_mode=int(operation.pad_end))
            case PReLU():
                slopes = arrays[names[0]].reshape(-1, *(1,) * (len(operation.output) - 1))
                add("PRelu", [x, constant(names[0], slopes)], name)
            case Convolution():
                biases = constant(names[1], arrays[names[1]])
                add("Conv", [x, constant(names[0], arrays[names[0]].transpose(3, 2, 0, 1)), biases], name)
            case FullyConnected():
                biases = constant(names[1], arrays[names[1]])
                weights = network.channels_first(arrays[names[0]], operation.input)
                if len(operation.input) == 3:
                    x = add("Flatten", [x], f"{name}/flat", axis=1)
                add("Gemm", [x, constant(names[0], weights), biases], name)
        if output_name(name) != name:
            add("Softmax", [name], output_name(name), axis=1)

    free = network.is_fully_convolutional(stage)
    side = ["height", "width"] if free else [stage.size, stage.size]
    outputs = {output_name(head): ["batch", HEADS[head]] + (["rows", "columns"] if free else []) for head in heads}
    graph = b"".join(field(1, n) for n in nodes) + field(2, stage.name) + b"".join(field(5, t) for t in tensors)
    graph += field(11, _value(INPUT, ["batch", 3, *side]))
    graph += b"".join(field(12, _value(name, dims)) for name, dims in outputs.items())
    return field(1, IR_VERSION) + field(7, graph) + field(8, field(1, "") + field(2, OPSET))


def output_name(head: str) -> str:
    """The name of this head's output in the model."""
    return "face/softmax" if head == "face" else head
