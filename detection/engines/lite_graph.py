"""A net as a TensorFlow Lite model in memory, for engines/lite.py; the batch and P-Net's image can be of any size.

The tables of the format (tensorflow/compiler/mlir/lite/schema/schema.fbs) are numbered fields; those that these nets
need are named below with their numbers. `flatbuffers`, which comes with TensorFlow, puts them into bytes.
"""
import flatbuffers
import numpy as np

from config import HEADS, Pool, Stage
from detection.engines import folded

VERSION, FLOAT32, SAME, VALID = 3, 0, 0, 1
CODES = {"CONV_2D": 3, "FULLY_CONNECTED": 9, "MAX_POOL_2D": 17, "PRELU": 54}               # BuiltinOperator
OPTIONS = {"CONV_2D": 1, "MAX_POOL_2D": 5, "FULLY_CONNECTED": 8, "PRELU": 0}                # BuiltinOptions
STRIDE_X, STRIDE_Y, DILATION_X, DILATION_Y, WIDTH, HEIGHT = 1, 2, 4, 5, 3, 4                # fields of the options


class _Writer:
    """Tables of int fields and of references to what was written before."""

    def __init__(self, size):
        self.builder = flatbuffers.Builder(size)

    def table(self, fields):
        """{field number: int, or (reference,)} -> reference. A 0 is what readers assume, and left out."""
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
        self.builder.Prep(16, len(raw))                                # the format wants arrays on multiples of 16
        return (self.builder.CreateByteVector(raw),)


def build(stage: Stage, arrays, heads=tuple(HEADS)) -> bytes:
    """Stage and its arrays -> model: pixels 0..255 (N, H, W, 3) float32 BGR -> (N, c) or maps (N, h, w, c), the heads
    as folded.py joins them."""
    writer = _Writer(sum(array.nbytes for array in arrays.values()) + (1 << 16))
    buffers, tensors, operators = [writer.table({})], [], []           # buffer 0 is that of all without values

    def tensor(name, shape, array=None):
        if array is not None:
            buffers.append(writer.table({0: writer.data(array)}))
        fields = {0: writer.ints(shape), 2: len(buffers) - 1 if array is not None else 0, 3: writer.text(name)}
        tensors.append(writer.table(fields))
        return len(tensors) - 1

    def add(code, name, inputs, shape, options):
        output = tensor(name, (1, *shape))
        fields = {0: list(CODES).index(code), 1: writer.ints(inputs), 2: writer.ints([output]), 3: OPTIONS[code]}
        if options:
            fields[4] = (writer.table(options),)
        operators.append(writer.table(fields))
        return output

    x = tensor("input", (1, stage.size, stage.size, 3))
    layers = list(folded.layers(stage, arrays, heads))
    outputs = (*layers[-1][2][:-1], len(layers[-1][4]))
    shapes = [shape for _, _, shape, *_ in layers[1:]] + [outputs]                 # of what each layer gives
    for (name, layer, _, weights, biases, slopes), shape in zip(layers, shapes):
        if isinstance(layer, Pool):
            x = add("MAX_POOL_2D", name, [x], shape, {
                0: SAME if layer.pad_end else VALID, STRIDE_X: layer.stride, STRIDE_Y: layer.stride,
                WIDTH: layer.kernel, HEIGHT: layer.kernel})
            continue
        if weights.ndim == 4:                # ours are (height, width, in, out), theirs (out, height, width, in)
            code, weights = "CONV_2D", weights.transpose(3, 0, 1, 2)
            options = {0: VALID, STRIDE_X: 1, STRIDE_Y: 1, DILATION_X: 1, DILATION_Y: 1}
        else:                                # rows count (height, width, channel) in both
            code, weights, options = "FULLY_CONNECTED", weights.T, {}
        constants = [tensor(f"{name}/weights", weights.shape, weights), tensor(f"{name}/biases", biases.shape, biases)]
        x = add(code, name, [x, *constants], shape, options)
        if slopes is not None:
            alphas = tensor(f"{name}/alphas", (1,) * (len(shape) - 1) + slopes.shape, slopes)
            x = add("PRELU", f"{name}/prelu", [x, alphas], shape, {})

    graph = writer.table({0: writer.references(tensors), 1: writer.ints([0]), 2: writer.ints([x]),
                          3: writer.references(operators), 4: writer.text(stage.name)})
    codes = [writer.table({0: code, 2: 1, 3: code}) for code in CODES.values()]
    model = writer.table({0: VERSION, 1: writer.references(codes), 2: writer.references([graph]),
                          4: writer.references(buffers)})
    writer.builder.Finish(model, b"TFL3")
    return bytes(writer.builder.Output())
