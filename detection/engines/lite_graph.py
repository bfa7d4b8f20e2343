"""A net as a TensorFlow Lite model in memory, for lite.py; the batch and P-Net's image can be of any size.

The tables of the format (tensorflow/compiler/mlir/lite/schema/schema.fbs) have numbered fields; the numbers that these
nets need are named below. `flatbuffers`, which comes with TensorFlow, serializes the tables.
"""
from collections.abc import Sequence

import flatbuffers
import numpy as np

from config import HEADS, Stage
from detection.engines import folded
from detection.network import INPUT, Convolution, FullyConnected, MaxPooling, PReLU
from detection.types import Arrays

VERSION, FLOAT32, SAME, VALID = 3, 0, 0, 1
CODES = {"CONV_2D": 3, "FULLY_CONNECTED": 9, "MAX_POOL_2D": 17, "PRELU": 54}               # BuiltinOperator
OPTIONS = {"CONV_2D": 1, "MAX_POOL_2D": 5, "FULLY_CONNECTED": 8, "PRELU": 0}                # BuiltinOptions
STRIDE_X, STRIDE_Y, DILATION_X, DILATION_Y, WIDTH, HEIGHT = 1, 2, 4, 5, 3, 4                # fields of the options


class _Writer:
    """Writes tables of int fields and of references to earlier objects."""

    def __init__(self, size):
        self.builder = flatbuffers.Builder(size)

    def table(self, fields):
        """{field number: int, or (reference,)} -> reference. Zeros are left out: readers assume them."""
        self.builder.StartObject(max(fields, default=-1) + 1)
        for slot, value in fields.items():
            if isinstance(value, tuple):
                self.builder.PrependUOffsetTRelativeSlot(slot, value[0], 0)
            else:
                self.builder.PrependInt32Slot(slot, value, 0)
        return self.builder.EndObject()

    def references(self, items):
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.builder.PrependUOffsetTRelative(item)
        return (self.builder.EndVector(),)

    def ints(self, values):
        return (self.builder.CreateNumpyVector(np.array(values, np.int32)),)

    def text(self, text):
        return (self.builder.CreateString(text),)

    def data(self, array):
        raw = np.ascontiguousarray(array, np.float32).tobytes()
        self.builder.Prep(16, len(raw))                                # arrays start at multiples of 16 bytes
        return (self.builder.CreateByteVector(raw),)


def build(stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS)) -> bytes:
    """A net -> model: pixels 0..255, float32 (N, H, W, 3) BGR -> (N, c) or maps (N, h, w, c): folded.py."""
    writer = _Writer(sum(array.nbytes for array in arrays.values()) + (1 << 16))
    buffers, tensors, nodes = [writer.table({})], [], []               # buffer 0 is that of all without values
    operations, folded_arrays = folded.fold(stage, arrays, heads)
    numbers = {}                                                       # name -> number of its tensor

    def tensor(name, shape, array=None):
        if array is not None:
            buffers.append(writer.table({0: writer.data(array)}))
        fields = {0: writer.ints(shape), 2: len(buffers) - 1 if array is not None else 0, 3: writer.text(name)}
        tensors.append(writer.table(fields))
        numbers[name] = len(tensors) - 1
        return numbers[name]

    def add(code, operation, inputs, options):
        output = tensor(operation.name, (1, *operation.output))
        fields = {0: list(CODES).index(code), 1: writer.ints([numbers[operation.source], *inputs]),
                  2: writer.ints([output]), 3: OPTIONS[code]}
        if options is not None:                  # an empty table, too: OpenVINO does not read a layer without
            fields[4] = (writer.table(options),)
        nodes.append(writer.table(fields))

    tensor(INPUT, (1, *operations[0].input))
    for operation in operations:
        values = {name: folded_arrays[name] for name in operation.arrays}
        match operation:
            case MaxPooling(kernel=kernel, stride=stride):
                code, options = "MAX_POOL_2D", {0: SAME if operation.pad_end else VALID, STRIDE_X: stride,
                                                STRIDE_Y: stride, WIDTH: kernel, HEIGHT: kernel}
            case PReLU():
                code, options = "PRELU", None
                values = {name: slopes.reshape((1,) * (len(operation.output) - 1) + slopes.shape)
                          for name, slopes in values.items()}
            case Convolution():                  # ours are (height, width, in, out), theirs (out, height, width, in)
                code, options = "CONV_2D", {0: VALID, STRIDE_X: 1, STRIDE_Y: 1, DILATION_X: 1, DILATION_Y: 1}
                values[f"{operation.name}/weights"] = values[f"{operation.name}/weights"].transpose(3, 0, 1, 2)
            case FullyConnected():               # both flatten in the order (height, width, channel)
                code, options = "FULLY_CONNECTED", {}
                values[f"{operation.name}/weights"] = values[f"{operation.name}/weights"].T
            case _:
                raise TypeError(operation)
        add(code, operation, [tensor(name, array.shape, array) for name, array in values.items()], options)

    graph = writer.table({0: writer.references(tensors), 1: writer.ints([numbers[INPUT]]),
                          2: writer.ints([numbers[folded.OUTPUT]]), 3: writer.references(nodes),
                          4: writer.text(stage.name)})
    codes = [writer.table({0: code, 2: 1, 3: code}) for code in CODES.values()]
    model = writer.table({0: VERSION, 1: writer.references(codes), 2: writer.references([graph]),
                          4: writer.references(buffers)})
    writer.builder.Finish(model, b"TFL3")
    return bytes(writer.builder.Output())
