"""Weights of one net: a .npz file with the arrays that its operations need (network.py).

Names and layouts are those of the TensorFlow 1 baselines: `conv1/weights`, `conv1/biases`, `conv1/alphas`, ...;
convolutions (k, k, in, out), fully connected layers (in, out) on maps flattened in the order (height, width, channel).
The landmark arrays of a net that was trained without landmarks are zeros.
"""
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from config import POINTS, Stage
from detection.errors import UserError
from detection.files import atomic_write
from detection.network import operations
from detection.types import Arrays, Floats, Shape

SLACK = 1 << 20      # bytes that a file may hold beside its arrays: names, shapes, what a checkpoint adds


def shapes(stage: Stage) -> dict[str, Shape]:
    """Name -> shape of each array of the net, in the order of its layers."""
    return {name: shape for operation in operations(stage) for name, shape in operation.arrays.items()}


def parameters(stage: Stage) -> int:
    """How many numbers the net has; with five points as many as config.py says."""
    return sum(math.prod(shape) for shape in shapes(stage).values())


def read(path: Path | str, stage: Stage) -> dict[str, Floats]:
    """Name -> float32 array, from file `path`. UserError unless the file holds exactly the arrays of this net."""
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


def check(path: Path | str, arrays: Arrays, stage: Stage) -> None:
    """UserError that names `path` unless the arrays have the names and shapes of this net and are finite."""
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


def have_landmarks(arrays: Arrays) -> bool:
    """Whether the net was trained with landmarks."""
    return bool(np.any(arrays["landmark/weights"]))


def read_arrays(path: Path | str, size: int) -> dict[str, np.ndarray]:
    """Name -> array, from the .npz file `path`; nothing in the file is executed. ValueError where it is no such file,
    is damaged, or holds far more than `size`, the bytes that its arrays should have."""
    try:
        with zipfile.ZipFile(path) as file:
            if sum(entry.file_size for entry in file.infolist()) > 4 * size + SLACK:
                raise ValueError(f"it holds far more than {size:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:        # damaged files make zipfile, zlib and NumPy raise many kinds
        raise ValueError(str(error).split("\n")[0] or type(error).__name__) from None


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes name -> array to the .npz file `path`, whole or not at all; the same arrays give the same bytes."""
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
