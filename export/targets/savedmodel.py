"""TensorFlow's SavedModel, with the signature "serving_default"."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from config import PNET, Stage
from export import layouts

if TYPE_CHECKING:
    import tensorflow as tf

Static = tuple[int, int, int]      # (height, width, crops): of P-Net's images, px, and of R-Net's and O-Net's batches


def module(stage: Stage, arrays: Mapping[str, np.ndarray], static: Static | None = None) -> "tf.Module":
    """The net as a tf.Module: float32 (N, H, W, 3) -> {"face": (N, ..., 2), "box": (N, ..., 4), ...}.

    static: the sizes of the input that are fixed; None leaves them free.
    """
    from detection.quiet_tensorflow import tf
    from train import nets
    model = nets.build(stage, folded=True)
    nets.assign(model, stage, arrays)
    values = [value.numpy() for value in model.trainable_variables]     # constants: TFLite 2.21 loses variables
    height, width, crops = static or (None, None, None)
    shape = [1 if static else None, height, width, 3] if stage is PNET else [crops, stage.size, stage.size, 3]

    class Exported(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="input")])
        def __call__(self, x):
            outputs, _ = model.stateless_call(values, [], x, training=False)
            outputs["face"] = tf.nn.softmax(outputs["face"])
            return {head: outputs[head] for head in layouts.USED[stage.name]}

    return Exported()


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes the net to the folder `path`. seen: inputs of the net to calibrate on, which only int8 needs."""
    from detection.quiet_tensorflow import tf
    exported = module(stage, arrays, static)
    tf.saved_model.save(exported, str(path), signatures={"serving_default": exported.__call__})
