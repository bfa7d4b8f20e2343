"""Graphs of ONNX operators written as expressions: a `Value`, the output of an operator, is used like an array.

    g = OnnxGraph()
    x = g.input("x", np.float32, ["n", 4])
    g.output("area", (x[:, 2:3] - x[:, 0:1]) * (x[:, 3:4] - x[:, 1:2]), ["n", 1])
    model = g.model("area")

Numbers and arrays beside a Value become constants of its type. Rules are NumPy's, except that slices keep all axes.
`OnnxGraph` writes the operators to a file; tensorflow_operators.py runs the same ones in TensorFlow.
"""
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from config import Conv, Stage
from detection import network
from detection.engines import folded, onnx_graph
from detection.network import INPUT

END = np.iinfo(np.int64).max        # of a slice without an end
BLOCK = 16                          # channels that ONNX Runtime computes at once with AVX-512


class Value:
    """The output of an operator. name: its name in the file, or TensorFlow's tensor; dtype: of its elements."""

    __array_ufunc__ = None      # array * value is an operator, not an array of them

    def __init__(self, graph: "Graph", name: Any, dtype):
        self.graph, self.name, self.dtype = graph, name, np.dtype(dtype)

    def _binary(self, operator, other, dtype=None, swap=False):
        pair = [self, self.graph.value(other, self.dtype)]
        return self.graph.op(operator, *(pair[::-1] if swap else pair), dtype=dtype)

    def __add__(self, other):
        return self._binary("Add", other)

    def __sub__(self, other):
        return self._binary("Sub", other)

    def __rsub__(self, other):
        return self._binary("Sub", other, swap=True)

    def __mul__(self, other):
        return self._binary("Mul", other)

    def __truediv__(self, other):
        """Of whole numbers: the whole part."""
        return self._binary("Div", other)

    def __rtruediv__(self, other):
        return self._binary("Div", other, swap=True)

    def __mod__(self, other):
        return self._binary("Mod", other)

    def __matmul__(self, other):
        return self._binary("MatMul", other)

    def __ge__(self, other):
        return self._binary("GreaterOrEqual", other, bool)

    def __gt__(self, other):
        return self._binary("Greater", other, bool)

    def __lt__(self, other):
        return self._binary("Less", other, bool)

    def __le__(self, other):
        return self._binary("LessOrEqual", other, bool)

    def __and__(self, other):
        return self._binary("And", other)

    def __or__(self, other):
        return self._binary("Or", other)

    __radd__, __rmul__ = __add__, __mul__

    def __getitem__(self, slices) -> "Value":
        """Slices, one for each of the first axes; all axes stay. Bounds are numbers or scalar Values."""
        return self.graph.slice(self, slices if isinstance(slices, tuple) else (slices,))

    def cast(self, dtype) -> "Value":
        dtype = np.dtype(dtype)
        return self if dtype == self.dtype else \
            self.graph.op("Cast", self, dtype=dtype, to=onnx_graph.TYPES[dtype.name])

    def size(self, axis: int) -> "Value":
        """Length of an axis, int64 scalar."""
        return self.graph.op("Gather", self.graph.op("Shape", self, dtype=np.int64), np.int64(axis))

    def reshape(self, *sides: "int | Value") -> "Value":
        return self.graph.op("Reshape", self, self.graph.vector(sides))

    def transpose(self, *order: int) -> "Value":
        return self.graph.op("Transpose", self, perm=order)

    def take(self, index, axis: int = 0) -> "Value":
        return self.graph.op("Gather", self, self.graph.value(index, np.int64), axis=axis)

    def where(self, mask: "Value", axis: int = 0) -> "Value":
        """The entries along an axis where a mask (N,) is true."""
        return self.graph.op("Compress", self, mask, axis=axis)


class Graph(ABC):
    """Where the operators go."""

    @abstractmethod
    def constant(self, name: str, array: np.ndarray) -> Value: ...

    @abstractmethod
    def op(self, operator: str, *inputs, dtype=None, outputs: int = 1, **attributes) -> Any:
        """Adds an operator -> its Value or Values; of the type of the first input where dtype says nothing else."""

    @abstractmethod
    def slice(self, value: Value, slices: Sequence[slice]) -> Value: ...

    @abstractmethod
    def net(self, stage: Stage, arrays: Mapping[str, np.ndarray], x: Value) -> Value:
        """A net, folded (folded.py), on pixels 0..255, float32 (N, 3, H, W) -> (N, c) or maps (N, c, h, w)."""

    @abstractmethod
    def loop(self, body: Callable, *initial: Value, times: Value | None = None, going: Value | None = None,
             scans: int = 0) -> list[Value]:
        """body(i, *values) -> (going on or None, *next values, *`scans` values that are stacked) -> the last values.

        times: how often at most; going: whether it begins at all. The body may use all values around it.
        """

    def once(self, condition: Value, change: Callable[[Value], Value], value: Value) -> Value:
        """change(value) where a scalar condition is true, else value. A Loop of at most one turn, not an If: OpenVINO
        2026.4 does not compute some branches."""
        return self.loop(lambda _, before: (self.value(np.bool_(False)), change(before)), value, going=condition)[0]

    def value(self, thing, dtype=np.float32) -> Value:
        """A Value as it is; a number or an array as a constant."""
        if isinstance(thing, Value):
            return thing
        array = np.asarray(thing, None if isinstance(thing, (np.ndarray, np.generic)) else dtype)
        return self.constant("", array)

    def vector(self, numbers: Sequence["int | Value"]) -> Value:
        """Numbers and scalar Values -> int64 (N,)."""
        if not any(isinstance(number, Value) for number in numbers):
            return self.value(np.int64(numbers))
        return self.concat([self.op("Reshape", self.value(number, np.int64), np.int64([1])) for number in numbers])

    # Functions of arrays.

    def concat(self, values: Sequence[Value], axis: int = 0) -> Value:
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def zeros(self, *sides: int | Value) -> Value:
        """float32. Where a side is 0: a constant without elements is a scalar for OpenVINO 2026.4."""
        return self.op("ConstantOfShape", self.vector(sides), dtype=np.float32)

    def arange(self, stop) -> Value:
        return self.op("Range", np.int64(0), self.value(stop, np.int64), np.int64(1))

    def maximum(self, a: Value, b) -> Value:
        return self.op("Max", a, self.value(b, a.dtype))

    def minimum(self, a: Value, b) -> Value:
        return self.op("Min", a, self.value(b, a.dtype))

    def where(self, condition: Value, a: Value, b) -> Value:
        return self.op("Where", condition, a, self.value(b, a.dtype), dtype=a.dtype)

    def largest(self, values: Value, axis: int, keep: int = 1) -> Value:
        return self.op("ReduceMax", values, axes=[axis], keepdims=keep)

    def argsort(self, values: Value, descending: bool = True) -> Value:
        """(N,) -> indices (N,); equal ones keep their order."""
        _, index = self.op("TopK", values, values.size(0).reshape(1), outputs=2, axis=0, largest=int(descending))
        return Value(self, index.name, np.int64)

    def nonzero(self, mask: Value) -> Value:
        """(N,) -> indices (K,) where it is true."""
        return self.op("NonZero", mask, dtype=np.int64).reshape(-1)


class OnnxGraph(Graph):
    """Collects the nodes of an ONNX file and, while one of them is being written, of its subgraphs."""

    def __init__(self):
        self._scopes, self._tensors, self._inputs, self._outputs, self._count = [[]], [{}], [], [], 0

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def constant(self, name, array):
        if not name:
            few = array.ravel()[:16].tolist()
            name = f"{array.dtype}{list(array.shape)}{few}" if array.size <= len(few) else self._name()
        return self._tensor(0, name, array)

    def _tensor(self, scope: int, name: str, array: np.ndarray) -> Value:
        self._tensors[scope][name] = onnx_graph.tensor(name, array)
        return Value(self, name, array.dtype)

    def op(self, operator, *inputs, dtype=None, outputs=1, **attributes):
        values = [self.value(each) for each in inputs]
        names = [self._name() for _ in range(outputs)]
        self._scopes[-1].append(onnx_graph.node(operator, [value.name for value in values], names, **attributes))
        found = [Value(self, name, dtype or values[0].dtype) for name in names]
        return found[0] if outputs == 1 else found

    def slice(self, value, slices):
        axes = [axis for axis, part in enumerate(slices) if part != slice(None)]
        steps = [slices[axis].step or 1 for axis in axes]
        starts, ends = ([default[step < 0] if bound is None else bound for bound, step in zip(bounds, steps)]
                        for default, bounds in (((0, END), [slices[axis].start for axis in axes]),
                                                ((END, -END), [slices[axis].stop for axis in axes])))
        return self.op("Slice", value, self.vector(starts), self.vector(ends), np.int64(axes), np.int64(steps))

    def net(self, stage, arrays, x):
        """In the form that ONNX Runtime 1.31 computes fastest. Maps stay in blocks of channels where a convolution's
        weights are in the same subgraph, where it knows the number of channels (hence a Reshape that changes nothing),
        and where all that follows has blocks, too: BatchNormalization, but not Mul, Max or PRelu."""
        operations, values = in_blocks(stage, *folded.fold(stage, arrays, stage.heads))
        prefix, slopes = self._name(), {}
        x = x.reshape(0, 3, 0, 0)

        def named(name):
            return x.name if name == INPUT else name if "." in name else f"{prefix}.{name}"

        def add(operator, inputs, output, **attributes):
            names = [named(name) for name in inputs]
            if operator == "PRelu":
                operator, names = self._prelu(Value(self, names[0], np.float32), names[1], slopes[names[1]])
            self._scopes[-1].append(onnx_graph.node(operator, names, [f"{prefix}.{output}"], **attributes))
            return output

        def constant(name, array):
            full, array = f"{stage.name}.{name}", array.astype(np.float32)
            if name.endswith("/alphas"):
                slopes[full] = array
            else:
                self._tensor(0 if name.startswith("fc") else -1, full, array)
            return full

        onnx_graph.add_layers(operations, values, add, constant)
        return Value(self, f"{prefix}.{folded.OUTPUT}", np.float32)

    def _prelu(self, x: Value, name: str, slopes: np.ndarray) -> tuple[str, list[str]]:
        """Operator and inputs for a PReLU of slopes (C,) or (C, 1, 1): slope x + (1 - slope) Relu(x)."""
        def times(x, part, factors):
            if slopes.ndim == 1:
                return x * factors
            arrays = {part: factors, "shift": factors * 0, "mean": factors * 0, "variance": factors * 0 + 1}
            values = [self._tensor(-1, f"{name}/{key}", array.ravel()) for key, array in arrays.items()]
            return self.op("BatchNormalization", x, *values, epsilon=0.0)

        bend = self.op("Relu", times(x, "bend", 1 - slopes)) if slopes.max() <= 1 else \
            times(self.op("Relu", x), "bend", 1 - slopes)                  # the former becomes part of a convolution
        return "Add", [times(x, "slope", slopes).name, bend.name]

    def _subgraph(self, write: Callable[[], Sequence[Value]], inputs: Sequence[bytes] = ()) -> bytes:
        self._scopes.append([])
        self._tensors.append({})
        outputs = [self.op("Identity", value) for value in write()]
        nodes, tensors = self._scopes.pop(), self._tensors.pop()
        return onnx_graph.graph(self._name(), nodes, list(tensors.values()), inputs,
                                [self._info(value) for value in outputs])

    @staticmethod
    def _info(value: Value, dims: Sequence[int] | None = None) -> bytes:
        return onnx_graph.value(value.name, value.dtype.name, dims)

    def loop(self, body, *initial, times=None, going=None, scans=0):
        yes = self.value(np.bool_(True))
        iteration, condition = Value(self, self._name(), np.int64), Value(self, self._name(), bool)
        carried = [Value(self, self._name(), value.dtype) for value in initial]
        written = []

        def write():
            on, *values = body(iteration, *carried)
            written.extend(values)
            return [yes if on is None else on, *values]

        graph = self._subgraph(write, [self._info(iteration, []), self._info(condition, []),
                                       *(self._info(value) for value in carried)])
        names = [self._name() for _ in written]
        inputs = [times.name if times else "", (going or yes).name, *(value.name for value in initial)]
        self._scopes[-1].append(onnx_graph.node("Loop", inputs, names, body=graph))
        return [Value(self, name, value.dtype) for name, value in zip(names, written)]

    def input(self, name: str, dtype, dims: Sequence[int | str]) -> Value:
        self._inputs.append(onnx_graph.value(name, np.dtype(dtype).name, dims))
        return Value(self, name, dtype)

    def output(self, name: str, value: Value, dims: Sequence[int | str]) -> None:
        self._scopes[-1].append(onnx_graph.node("Identity", [value.name], [name]))
        self._outputs.append(onnx_graph.value(name, value.dtype.name, dims))

    def model(self, name: str) -> bytes:
        return onnx_graph.model(onnx_graph.graph(name, self._scopes[0], list(self._tensors[0].values()), self._inputs,
                                                 self._outputs))


def in_blocks(stage: Stage, operations: Sequence[network.Operation], arrays: Mapping[str, np.ndarray]
              ) -> tuple[list[network.Operation], dict[str, np.ndarray]]:
    """A folded net -> the same with whole BLOCKs of channels between its convolutions; those added are 0."""
    last = max(i for i, layer in enumerate(stage.layers) if isinstance(layer, Conv))
    layers = tuple(layer._replace(channels=-(-layer.channels // BLOCK) * BLOCK)
                   if isinstance(layer, Conv) and i < last else layer for i, layer in enumerate(stage.layers))
    wider = list(network.operations(replace(stage, layers=layers), {folded.OUTPUT: operations[-1].output[-1]}))
    shapes = {name: shape for operation in wider for name, shape in operation.arrays.items()}
    return wider, {name: np.pad(arrays[name], [(0, new - old) for new, old in zip(shape, arrays[name].shape)])
                   for name, shape in shapes.items()}
