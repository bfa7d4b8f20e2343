"""TensorFlow Lite, with float32 or float16 weights or with int8 arithmetic. Input and output are float32 in all three:
the files are interchangeable."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import Stage
from export import calibration
from export.targets import savedmodel
from export.targets.savedmodel import Static


def _converter(stage, arrays, static):
    from detection.quiet_tensorflow import tf
    module = savedmodel.module(stage, arrays, static)
    return tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .tflite file with float32 weights."""
    path.write_bytes(_converter(stage, arrays, static).convert())


def write_float16(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
                  seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .tflite file with float16 weights."""
    from detection.quiet_tensorflow import tf
    converter = _converter(stage, arrays, static)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    path.write_bytes(converter.convert())


def write_int8(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
               seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .tflite file that computes in int8; its number ranges are set on `seen`, uint8 (N, H, W, 3) each."""
    from detection.quiet_tensorflow import tf
    samples = calibration.inputs(stage, seen, static)
    converter = _converter(stage, arrays, static)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path.write_bytes(converter.convert())
