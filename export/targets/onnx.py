"""ONNX, for ONNX Runtime and OpenCV dnn: normalized BGR (N, 3, H, W) -> the heads that detection uses."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import Stage
from detection.engines import onnx_graph
from export import layouts
from export.targets.savedmodel import Static


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes an .onnx file; its sizes are always free."""
    path.write_bytes(onnx_graph.build(stage, arrays, layouts.USED[stage.name]))


def write_web(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
              seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes an .onnx file without ceil_mode, for WebGPU; images have to have even sides."""
    path.write_bytes(onnx_graph.build(stage, arrays, layouts.USED[stage.name], end_pads=True))
