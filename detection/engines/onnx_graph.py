"""A net as an ONNX model in memory, for other runtimes, at any height and width.

The few messages of the ONNX format (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) that these nets need
are written here in the protocol buffers wire format, so that writing them needs NumPy alone.
"""
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from config import HEADS, Stage
from detection import network
from detection.engines.protobuf import field
from detection.network import INPUT, Convolution, FullyConnected, MaxPooling, PReLU
from detection.types import Arrays

Attribute = int | float | str | bytes | Sequence[int]     # bytes: a GraphProto

IR_VERSION, OPSET = 8, 13
TYPES = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9, "float64": 11}     # TensorProto.DataType
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_TEXT, ATTRIBUTE_GRAPH, ATTRIBUTE_INTS = 1, 2, 3, 5, 7     # AttributeType


def tensor(name: str, array: np.ndarray) -> bytes:
    """TensorProto: dims 1, data_type 2, name 8, raw_data 9."""
    dims = b"".join(field(1, side) for side in array.shape)
    return dims + field(2, TYPES[array.dtype.name]) + field(8, name) + field(9, np.ascontiguousarray(array).tobytes())


def _attribute(name, value):
    """AttributeProto: name 1, f 2, i 3, s 4, g 6, ints 8, type 20. A GraphProto is given as bytes."""
    match value:
        case float():
            return field(1, name) + field(2, value) + field(20, ATTRIBUTE_FLOAT)
        case int():
            return field(1, name) + field(3, value) + field(20, ATTRIBUTE_INT)
        case str():
            return field(1, name) + field(4, value) + field(20, ATTRIBUTE_TEXT)
        case bytes():
            return field(1, name) + field(6, value) + field(20, ATTRIBUTE_GRAPH)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, ATTRIBUTE_INTS)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Attribute) -> bytes:
    """NodeProto: input 1, output 2, name 3, op_type 4, attribute 5."""
    message = b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs)
    return message + field(3, outputs[0]) + field(4, operator) + \
        b"".join(field(5, _attribute(k, v)) for k, v in attributes.items())


def value(name: str, dtype: str, dims: Sequence[int | str] | None) -> bytes:
    """ValueInfoProto of a tensor; a dimension given as text can have any size. dims None: any number of them."""
    shape = b"" if dims is None else \
        field(2, b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims))
    return field(1, name) + field(2, field(1, field(1, TYPES[dtype]) + shape))


def graph(name: str, nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Sequence[bytes],
          outputs: Sequence[bytes]) -> bytes:
    """GraphProto: node 1, name 2, initializer 5, input 11, output 12."""
    parts = [*(field(1, n) for n in nodes), field(2, name), *(field(5, t) for t in tensors),
             *(field(11, i) for i in inputs), *(field(12, o) for o in outputs)]
    return b"".join(parts)


def model(main_graph: bytes) -> bytes:
    """ModelProto: ir_version 1, graph 7, opset_import 8."""
    return field(1, IR_VERSION) + field(7, main_graph) + field(8, field(1, "") + field(2, OPSET))


def add_layers(operations: Iterable[network.Operation], arrays: Arrays, add: Callable[..., str],
               constant: Callable[[str, np.ndarray], str], end_pads: bool = False) -> None:
    """Adds the operations of a net, named as in network.py, to a graph (N, 3, H, W).

    add(operator, inputs, output, **attributes) adds a node, constant(name, array) an array; both return the name.
    end_pads: incomplete last windows of pooling are padded, where ceil_mode = 1 says the same; for runtimes that lack
    ceil_mode. A fully convolutional net has to take images of even sides then.
    """
    for operation in operations:
        name, x, names = operation.name, operation.source, list(operation.arrays)
        match operation:
            case MaxPooling(kernel=kernel, stride=stride):
                height, width = (max((now - 1) * stride + kernel - before, 0) if end_pads else 0
                                 for now, before in zip(operation.output[:2], operation.input[:2]))
                add("MaxPool", [x], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[0, 0, height, width],
                    dilations=[1, 1], ceil_mode=int(operation.pad_end and not end_pads))
            case PReLU():
                slopes = arrays[names[0]].reshape(-1, *(1,) * (len(operation.output) - 1))
                add("PRelu", [x, constant(names[0], slopes)], name)
            case Convolution():
                biases = constant(names[1], arrays[names[1]])
                add("Conv", [x, constant(names[0], arrays[names[0]].transpose(3, 2, 0, 1)), biases], name,
                    kernel_shape=[operation.kernel] * 2, strides=[1, 1], pads=[0, 0, 0, 0], dilations=[1, 1])
            case FullyConnected():
                biases = constant(names[1], arrays[names[1]])
                weights = network.channels_first(arrays[names[0]], operation.input)
                if len(operation.input) == 3:
                    x = add("Flatten", [x], f"{name}/flat", axis=1)
                add("Gemm", [x, constant(names[0], weights), biases], name)


def build(stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS), end_pads: bool = False) -> bytes:
    """A net -> ONNX model: normalized BGR, float32 (N, 3, H, W) -> one output for each head (`output_name`).

    A fully convolutional net gives maps (N, c, h, w), another (N, c); "face" is the softmax over (no face, face).
    end_pads: as add_layers.
    """
    nodes, tensors = [], []

    def add(operator, inputs, output, **attributes):
        nodes.append(node(operator, inputs, [output], **attributes))
        return output

    def constant(name, array):
        tensors.append(tensor(name, array.astype(np.float32)))
        return name

    add_layers(network.operations(stage, {head: HEADS[head] for head in heads}), arrays, add, constant, end_pads)
    for head in heads:
        if output_name(head) != head:
            add("Softmax", [head], output_name(head), axis=1)

    free = network.is_fully_convolutional(stage)
    side = ["height", "width"] if free else [stage.size, stage.size]
    outputs = {output_name(head): ["batch", HEADS[head]] + (["rows", "columns"] if free else []) for head in heads}
    return model(graph(stage.name, nodes, tensors, [value(INPUT, "float32", ["batch", 3, *side])],
                       [value(name, "float32", dims) for name, dims in outputs.items()]))


def output_name(head: str) -> str:
    """The name of this head's output in the model."""
    return "face/softmax" if head == "face" else head
