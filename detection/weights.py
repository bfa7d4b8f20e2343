"""Weights of one net: a .npz file of arrays named by layer, with the shapes that the net's layers ask for.

Names are the TensorFlow 1 ancestors' (`conv1/weights`, `conv1/biases`, `conv1/alphas`, ...), as are the layouts:
convolutions (k, k, in, out), dense layers (in, out) on features flattened in (height, width, channel) order.
"""
import math
import zipfile
from pathlib import Path

import numpy as np

from config import HEADS, POINTS, Conv, Dense, Pool, Stage
from detection.errors import UserError
from detection.files import atomic_write

SLACK = 1 << 20      # bytes of a file of arrays that are not in its arrays: names, shapes, what a checkpoint adds


def trunk(stage: Stage):
    """Yields (name, layer, shape of its input without the batch) for each layer; ends with ("heads", None, shape)."""
    side, channels, convs, denses = stage.size, 3, 0, 0
    shape = (side, side, channels)
    for layer in stage.layers:
        if isinstance(layer, Conv):
            convs += 1
            yield f"conv{convs}", layer, shape
            shape = (shape[0] - layer.kernel + 1, shape[1] - layer.kernel + 1, layer.channels)
        elif isinstance(layer, Pool):
            yield f"pool{convs}", layer, shape
            span = shape[0] - layer.kernel
            side = (-(-span // layer.stride) if layer.pad_end else span // layer.stride) + 1
            shape = (side, side, shape[2])
        else:
            denses += 1
            yield f"fc{denses}", layer, shape
            shape = (layer.units,)
    yield "heads", None, shape


def shapes(stage: Stage):
    """Name of each array of the net -> its shape, in the order of the layers."""
    arrays = {}
    for name, layer, shape in trunk(stage):
        if isinstance(layer, Conv):
            arrays[f"{name}/weights"] = (layer.kernel, layer.kernel, shape[2], layer.channels)
            arrays[f"{name}/biases"] = arrays[f"{name}/alphas"] = (layer.channels,)
        elif isinstance(layer, Dense):
            arrays[f"{name}/weights"] = (int(np.prod(shape)), layer.units)
            arrays[f"{name}/biases"] = arrays[f"{name}/alphas"] = (layer.units,)
        elif layer is None:   # P-Net's heads are 1x1 convolutions, so that it slides over any picture
            kernel = (1, 1) if len(shape) == 3 else ()
            for head, outputs in HEADS.items():
                arrays[f"{head}/weights"] = (*kernel, shape[-1], outputs)
                arrays[f"{head}/biases"] = (outputs,)
    return arrays


def parameters(stage: Stage):
    """How many numbers the net has: those that config.py counts for five points, more or fewer for other points."""
    return sum(math.prod(shape) for shape in shapes(stage).values())


def read(path, stage: Stage):
    """Name -> float32 array, from file `path`. UserError unless it is exactly this stage's set of arrays."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such weights; train them with `python train/train.py {stage.size}`, "
                        "or name the folder that holds them")
    try:
        arrays = read_arrays(path, 4 * parameters(stage))
    except ValueError as error:
        raise UserError(f"{path}: is not a weights file of {stage.name} ({error}); train or copy it again") from None
    check(path, arrays, stage)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def check(path, arrays, stage: Stage):
    """UserError, naming `path`, unless the arrays have this stage's names and shapes and are finite."""
    wanted = shapes(stage)
    found = {name: array.shape for name, array in arrays.items()}
    if found != wanted:
        name = next(n for n in [*wanted, *found] if found.get(n) != wanted.get(n))
        raise UserError(f"{path}: does not hold {stage.name} for {stage.size} px crops and {len(POINTS)} points "
                        f"({name} should be {wanted.get(name, 'absent')}, is {found.get(name, 'absent')}); give it the "
                        "right file")
    bad = [name for name, array in arrays.items() if array.dtype.kind not in "fiu" or not np.isfinite(array).all()]
    if bad:
        raise UserError(f"{path}: {bad[0]} holds numbers that are not finite; train or copy it again")


def read_arrays(path, size):
    """Name -> array, from the .npz file `path`. ValueError where that is none, is damaged, or far larger than `size`,
    the bytes that its arrays should have; nothing in the file is executed."""
    try:
        with zipfile.ZipFile(path) as file:
            if sum(entry.file_size for entry in file.infolist()) > 4 * size + SLACK:
                raise ValueError(f"it holds far more than {size:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:        # whatever a damaged file makes zipfile, zlib and NumPy raise
        raise ValueError(str(error).split("\n")[0] or type(error).__name__) from None


def write_arrays(path, arrays):
    """Writes name -> array to the .npz file `path`, whole or not at all, the same bytes for the same arrays."""
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
