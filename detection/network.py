"""The one description of a net: its operations in order, with their shapes and the arrays that they need.

The Keras models of train/nets.py, the engines and all exported graphs are written from `operations`. Shapes leave out
the batch: (height, width, channels), or (units,) after a fully connected layer.
"""
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from config import HEADS, NET_PIXELS, Conv, Dense, Pool, Stage
from detection.types import Floats, Shape

INPUT = "input"


@dataclass(frozen=True)
class Operation:
    """One operation. `name` also names its output; `source` names the operation whose output it takes, or INPUT."""
    name: str
    source: str
    input: Shape
    output: Shape

    @property
    def arrays(self) -> dict[str, Shape]:
        """Name -> shape of each array that the operation needs, in order."""
        return {}


@dataclass(frozen=True)
class Convolution(Operation):
    """k x k, stride 1, without padding. Weights (k, k, in, out)."""
    kernel: int

    @property
    def arrays(self) -> dict[str, Shape]:
        channels = self.output[-1]
        return {f"{self.name}/weights": (self.kernel, self.kernel, self.input[-1], channels),
                f"{self.name}/biases": (channels,)}


@dataclass(frozen=True)
class FullyConnected(Operation):
    """Weights (in, out); a map is flattened in the order (height, width, channel) first."""

    @property
    def arrays(self) -> dict[str, Shape]:
        return {f"{self.name}/weights": (math.prod(self.input), *self.output), f"{self.name}/biases": self.output}


@dataclass(frozen=True)
class PReLU(Operation):
    """x where positive, slope * x elsewhere, one slope for each channel or unit. The slopes bear its source's name."""

    @property
    def arrays(self) -> dict[str, Shape]:
        return {f"{self.source}/alphas": self.output[-1:]}


@dataclass(frozen=True)
class MaxPooling(Operation):
    """k x k. pad_end: the last, incomplete window counts, too."""
    kernel: int
    stride: int
    pad_end: bool


def operations(stage: Stage, heads: Mapping[str, int] = HEADS, size: tuple[int, int] | None = None
               ) -> Iterator[Operation]:
    """Yields the operations of a net, the heads last.

    heads: name -> number of outputs; all take the output of the last layer. size: (height, width) of the input, if it
    is not the net's own; only a fully convolutional net takes others.
    """
    height, width = size or (stage.size, stage.size)
    shape: Shape = (height, width, 3)
    source, convs, denses = INPUT, 0, 0
    for layer in stage.layers:
        before = shape
        if isinstance(layer, Pool):
            name = f"pool{convs}"
            shape = (_pooled(before[0], layer), _pooled(before[1], layer), before[2])
            yield MaxPooling(name, source, before, shape, layer.kernel, layer.stride, layer.pad_end)
            source = name
            continue
        if isinstance(layer, Conv):
            convs += 1
            name = f"conv{convs}"
            shape = (before[0] - layer.kernel + 1, before[1] - layer.kernel + 1, layer.channels)
            yield Convolution(name, source, before, shape, layer.kernel)
        else:
            denses += 1
            name = f"fc{denses}"
            shape = tuple([layer.units])
            yield FullyConnected(name, source, before, shape)
        source = f"{name}/prelu"
        yield PReLU(source, name, shape, shape)
    for name, count in heads.items():
        if is_fully_convolutional(stage):
            yield Convolution(name, source, shape, (*shape[:2], count), 1)
        else:
            yield FullyConnected(name, source, shape, (count,))


def _pooled(side: int, pool: Pool) -> int:
    """Side of a map, px -> that of the pooled map."""
    span = side - pool.kernel
    return (-(-span // pool.stride) if pool.pad_end else span // pool.stride) + 1


def is_fully_convolutional(stage: Stage) -> bool:
    """Whether the net, as P-Net, has no fully connected layer: it slides over images of any size and gives maps."""
    return not any(isinstance(layer, Dense) for layer in stage.layers)


def crops_per_call(stage: Stage) -> int:
    """How many crops an engine on the CPU runs in one call, so that the maps stay in the cache."""
    return max(NET_PIXELS // stage.size ** 2, 1)


def channels_first(weights: Floats, shape: Shape) -> Floats:
    """Fully connected weights (in, out) on an input of `shape` -> the same for formats that keep maps as (channels,
    height, width) and flatten them in that order."""
    if len(shape) == 1:
        return weights
    return weights.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(len(weights), -1)
