"""TensorFlow Lite for microcontrollers: int8 arithmetic, fixed shapes, one window a call; float32 in and out."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import PNET, Stage
from detection.quiet import quiet
from export import packages
from export.targets import tflite
from export.targets.savedmodel import Static

RUNTIME = "tflite_micro"
ALIGNED = 16                    # bytes, of what is allocated there


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> str:
    """Writes a .tflite file, P-Net for one window unless `static` says otherwise -> the memory that it needs to run,
    where its package is installed."""
    tflite.write_int8(stage, arrays, path, static or (PNET.size, PNET.size, 1), seen)
    return f", arena {arena(path.read_bytes()):,} bytes" if packages.installed(RUNTIME) else ""


def arena(model: bytes) -> int:
    """Bytes of the smallest arena, the memory for all tensors, in which the model runs on this processor."""
    runtime = packages.optional(RUNTIME, "measuring the arena").runtime

    def fits(count: int) -> bool:
        try:
            runtime.Interpreter.from_bytes(model, arena_size=count * ALIGNED)
        except RuntimeError:
            return False
        return True

    with quiet():                                   # each attempt that fails says so
        least, most = 0, 10 * len(model) // ALIGNED           # at first what the package itself takes
        while most - least > 1:
            middle = (least + most) // 2
            least, most = (least, middle) if fits(middle) else (middle, most)
    return most * ALIGNED
