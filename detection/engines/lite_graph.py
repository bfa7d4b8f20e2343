"""A net as a TensorFlow Lite model in memory, for lite.py; the batch and P-Net's image can be of any size.

The tables of the format (tensorflow/compiler/mlir/lite/schema/schema.fbs) have numbered fields; the numbers that these
nets need are named below. `flatbuffers`, which comes with TensorFlow, serializes the tables.

XNNPACK, which computes the graph, works on 16 or 32 channels at once (AVX-512). Three things here are for its sake and
change no number. It pads 48 channels to 64, so a convolution of 32 n + 16 channels is two, joined (R-Net takes 0.87 of
the time). It runs a PReLU once per row of slopes, so these are repeated for all pixels of a row where the map has one
size (0.9 of R-Net, 0.98 of O-Net). It writes a PReLU over its input, where each incomplete group of channels waits for
the one before; so where P-Net's map has such groups, its input is also an output of the graph, left as it is (0.87).
"""
from collections.abc import Sequence
from itertools import pairwise

import flatbuffers
import numpy as np

from config import HEADS, Stage
from detection import network
from detection.engines import folded
from detection.network import INPUT, Convolution, FullyConnected, MaxPooling, PReLU
from detection.types import Arrays

VERSION, FLOAT32, SAME, VALID = 3, 0, 0, 1
CODES = {"CONCATENATION": 2, "CONV_2D": 3, "FULLY_CONNECTED": 9, "MAX_POOL_2D": 17, "PRELU": 54}     # BuiltinOperator
OPTIONS = {"CONCATENATION": 10, "CONV_2D": 1, "MAX_POOL_2D": 5, "FULLY_CONNECTED": 8, "PRELU": 0}     # BuiltinOptions
LANES = 16                                                         # numbers in a vector of AVX-512
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


def _parts(channels: int) -> list[slice]:
    """Channels of a convolution -> those of each of the convolutions that it is written as."""
    over = channels % (2 * LANES)
    whole = channels - over if over <= LANES else 0
    return [slice(*ends) for ends in pairwise(sorted({0, whole, channels}))]


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

    def add(code, name, shape, sources, values, options):
        inputs = [*(numbers[source] for source in sources), *(tensor(key, v.shape, v) for key, v in values.items())]
        fields = {0: list(CODES).index(code), 1: writer.ints(inputs), 2: writer.ints([tensor(name, (1, *shape))]),
                  3: OPTIONS[code]}
        if options is not None:                  # an empty table, too: OpenVINO does not read a layer without
            fields[4] = (writer.table(options),)
        nodes.append(writer.table(fields))

    slides, kept = network.is_fully_convolutional(stage), [folded.OUTPUT]
    tensor(INPUT, (1, *operations[0].input))
    for operation in operations:
        name, shape, sources = operation.name, operation.output, [operation.source]
        values = {key: folded_arrays[key] for key in operation.arrays}
        match operation:
            case MaxPooling(kernel=kernel, stride=stride):
                add("MAX_POOL_2D", name, shape, sources, {}, {
                    0: SAME if operation.pad_end else VALID, STRIDE_X: stride, STRIDE_Y: stride, WIDTH: kernel,
                    HEIGHT: kernel})
            case PReLU():
                same = (1, 1 if slides else shape[1]) if len(shape) == 3 else ()       # pixels of the same slopes
                add("PRELU", name, shape, sources, {key: np.tile(v, (*same, 1)) for key, v in values.items()}, None)
                if slides and shape[-1] % LANES:
                    kept += sources
            case Convolution():                  # ours are (height, width, in, out), theirs (out, height, width, in)
                parts = _parts(shape[-1])
                names = [f"{name}/{part.start}" for part in parts] if len(parts) > 1 else [name]
                for own, part in zip(names, parts):
                    weights, biases = values[f"{name}/weights"], values[f"{name}/biases"]
                    add("CONV_2D", own, (*shape[:2], part.stop - part.start), sources,
                        {f"{own}/weights": weights.transpose(3, 0, 1, 2)[part], f"{own}/biases": biases[part]},
                        {0: VALID, STRIDE_X: 1, STRIDE_Y: 1, DILATION_X: 1, DILATION_Y: 1})
                if len(parts) > 1:
                    add("CONCATENATION", name, shape, names, {}, {0: 3})
            case FullyConnected():               # both flatten in the order (height, width, channel)
                add("FULLY_CONNECTED", name, shape, sources, {key: v.T for key, v in values.items()}, {})
            case _:
                raise TypeError(operation)

    graph = writer.table({0: writer.references(tensors), 1: writer.ints([numbers[INPUT]]),
                          2: writer.ints([numbers[name] for name in kept]), 3: writer.references(nodes),
                          4: writer.text(stage.name)})
    codes = [writer.table({0: code, 2: 1, 3: code}) for code in CODES.values()]
    model = writer.table({0: VERSION, 1: writer.references(codes), 2: writer.references([graph]),
                          4: writer.references(buffers)})
    writer.builder.Finish(model, b"TFL3")
    return bytes(writer.builder.Output())
