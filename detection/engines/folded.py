"""The layers of a net as they run: the scaling of the pixels is part of the first, the heads are one, "outputs"."""
import numpy as np

from config import HEADS, PIXEL_MEAN, PIXEL_SCALE, Pool, Stage
from detection.weights import trunk

OUTPUT = "outputs"


def layers(stage: Stage, arrays, heads=tuple(HEADS)):
    """Yields (name, layer, shape of its input, weights, biases, slopes); a Pool has None for the last three, the joined
    heads, whose layer is None, for the last.

    Input: pixels 0..255; the first layer has no padding, so that this is exact. Output (..., c): the heads side by
    side, "face" as one number, the logit of the face score; `columns` tells which are whose.
    """
    for name, layer, shape in trunk(stage):
        if isinstance(layer, Pool):
            yield name, layer, shape, None, None, None
            continue
        if layer is None:
            yield OUTPUT, None, shape, *_joined(arrays, heads), None
            return
        weights, biases = arrays[f"{name}/weights"], arrays[f"{name}/biases"]
        if name == "conv1":
            biases = biases - PIXEL_MEAN * PIXEL_SCALE * weights.sum(axis=(0, 1, 2))
            weights = weights * PIXEL_SCALE
        yield name, layer, shape, weights, biases, arrays[f"{name}/alphas"]


def _joined(arrays, heads):
    """Arrays -> weights (..., c), biases (c,) of all heads as one layer; face minus no face is the logit."""
    def logit(a):
        return a[..., 1:] - a[..., :1]

    return [np.concatenate([logit(arrays[f"{head}/{part}"]) if head == "face" else arrays[f"{head}/{part}"]
                            for head in heads], axis=-1) for part in ("weights", "biases")]


def columns(heads):
    """Name of each head -> slice of the outputs that are its."""
    found, start = {}, 0
    for head in heads:
        stop = start + (1 if head == "face" else HEADS[head])
        found[head] = slice(start, stop)
        start = stop
    return found
