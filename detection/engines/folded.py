"""A net as engines run it: pixel normalization folded into its first layer, all its heads joined into one."""
from collections.abc import Sequence

import numpy as np

from config import HEADS, PIXEL_MEAN, PIXEL_SCALE, Stage
from detection import network
from detection.types import Arrays, Floats

OUTPUT = "outputs"      # name of the joined head


def fold(stage: Stage, arrays: Arrays, heads: Sequence[str]) -> tuple[list[network.Operation], dict[str, Floats]]:
    """Arrays of a net -> its operations and the arrays that they need.

    Input: pixels 0..255; the first layer has no padding, so folding the normalization into it is exact. Output
    (..., c): the heads side by side (`columns_of`), "face" as one number, the logit of the face score.
    """
    count = max(columns.stop for columns in columns_of(heads).values())
    operations = list(network.operations(stage, {OUTPUT: count}))
    weights, biases = operations[0].arrays
    folded = {name: array for name, array in arrays.items() if name.split("/")[0] not in HEADS}
    folded[biases] = arrays[biases] - PIXEL_MEAN * PIXEL_SCALE * arrays[weights].sum(axis=(0, 1, 2))
    folded[weights] = arrays[weights] * PIXEL_SCALE
    for part in ("weights", "biases"):
        folded[f"{OUTPUT}/{part}"] = np.concatenate([_outputs(head, arrays[f"{head}/{part}"]) for head in heads], -1)
    return operations, folded


def _outputs(head: str, array: Floats) -> Floats:
    """Weights or biases (..., c) of a head; of "face" (..., 1): face minus no face is the logit."""
    return array[..., 1:] - array[..., :1] if head == "face" else array


def columns_of(heads: Sequence[str]) -> dict[str, slice]:
    """Names of heads -> for each its columns of the joined output."""
    found, start = {}, 0
    for head in heads:
        stop = start + (1 if head == "face" else HEADS[head])
        found[head] = slice(start, stop)
        start = stop
    return found
