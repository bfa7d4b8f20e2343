"""Weights for the Python package `facenet-pytorch`: a state dict of PyTorch."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import Stage
from export import layouts
from export.targets.savedmodel import Static


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .pt file."""
    import torch
    state = layouts.to_facenet(stage, arrays)
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in state.items()}, path)
