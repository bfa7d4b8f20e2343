"""OpenVINO's own format: normalized BGR (N, 3, H, W) -> the heads that detection uses, as onnx.py has them."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import Stage
from detection.engines import onnx_graph
from export import layouts
from export.targets.savedmodel import Static


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes an .xml file and, beside it, a .bin file with float32 weights; its sizes are always free."""
    import openvino
    model = openvino.Core().read_model(onnx_graph.build(stage, arrays, layouts.USED[stage.name]))
    openvino.save_model(model, path, compress_to_fp16=False)
