"""Weights for the Python package `mtcnn` 1.0: a list of arrays, stored by joblib with lz4."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import Stage
from export import layouts
from export.targets.savedmodel import Static


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes an .lz4 file."""
    import joblib
    joblib.dump(layouts.to_mtcnn(stage, arrays), path, compress=("lz4", 1))
