"""Core ML, by coremltools from the SavedModel: normalized BGR (N, H, W, 3) -> the heads that detection uses.

Only Apple's systems run the files, so that here they are converted and not run.
"""
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import HEADS, PNET, Stage
from detection.network import INPUT
from export import layouts
from export.targets import savedmodel
from export.targets.savedmodel import Static

MOST = 4096         # px of P-Net's sides, and crops in a call: the format wants a limit


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> str:
    """Writes an .mlpackage, a folder -> what to say of it."""
    from detection.quiet import quiet
    with quiet(), tempfile.TemporaryDirectory() as folder:      # its import warns of each missing part of Apple's
        import coremltools as ct
        savedmodel.write(stage, arrays, Path(folder) / stage.name, static)
        model = ct.convert(str(Path(folder) / stage.name), source="tensorflow", convert_to="mlprogram",
                           inputs=[ct.TensorType(name=INPUT, shape=_shape(ct, stage, static), dtype=np.float32)],
                           compute_precision=ct.precision.FLOAT32, skip_model_load=True)
        spec, weights = model.get_spec(), model.weights_dir
        for output, head in zip([output.name for output in spec.description.output], _order(spec, stage)):
            ct.utils.rename_feature(spec, output, head)
        ct.models.MLModel(spec, weights_dir=weights, skip_model_load=True).save(str(path))
    return ", converted and not run"


def _shape(ct, stage: Stage, static: Static | None) -> list:
    """Of the input, with ranges for what is free."""
    if stage is PNET:
        sides = static[:2] if static else [ct.RangeDim(stage.size, MOST, stage.size) for _ in range(2)]
        return [1, *sides, 3]
    return [static[2] if static else ct.RangeDim(1, MOST, 1), stage.size, stage.size, 3]


def _order(spec, stage: Stage) -> list[str]:
    """The heads in the order of the outputs, whose names coremltools loses: TensorFlow sorts them by name."""
    block, = spec.mlProgram.functions["main"].block_specializations.values()
    dims = {output.name: output.type.tensorType.dimensions for operation in block.operations
            for output in operation.outputs}
    channels = [dims[name][-1].constant.size for name in block.outputs]
    heads = sorted(layouts.USED[stage.name])
    assert channels == [HEADS[head] for head in heads]
    return heads
