"""The whole detector as one ONNX file, of standard operators alone."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import CASCADE
from detection.types import Arrays
from export import layouts
from export.cascade_graph import FACES, OUTPUTS, Cascade
from export.graph import OnnxGraph


def build(arrays: Mapping[str, Arrays], rgb: bool = False, outputs: Sequence[str] = FACES) -> bytes:
    """Arrays of the nets by name -> model: image uint8 (H, W, 3), min_face float32 () px, thresholds float32 (3,) ->
    the named OUTPUTS of cascade_graph.py. rgb: images are RGB, not BGR."""
    graph = OnnxGraph()
    inputs = (graph.input("image", np.uint8, ["height", "width", 3]), graph.input("min_face", np.float32, []),
              graph.input("thresholds", np.float32, [len(CASCADE)]))
    found = Cascade(graph, layouts.of_channels(arrays, rgb)).detect(*inputs)
    for name in outputs:
        graph.output(name, found[name], OUTPUTS[name])
    return graph.model("detector")


def write(arrays: Mapping[str, Arrays], path: Path, rgb: bool = False) -> None:
    """Writes an .onnx file."""
    path.write_bytes(build(arrays, rgb))
