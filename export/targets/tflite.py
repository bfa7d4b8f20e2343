"""TensorFlow Lite, with float32 or float16 weights or with int8 arithmetic. Input and output are float32 in all three:
the files are interchangeable."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import Stage
from detection.quiet import quiet
from export import calibration, runners
from export.targets import savedmodel
from export.targets.savedmodel import Static


def _converter(stage, arrays, static):
    from detection.quiet_tensorflow import tf
    module = savedmodel.module(stage, arrays, static)
    return tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)


def _converted(converter, stage, static):
    """The converter's model. Free sizes are stored as the net's own in every tensor, beside -1 in the signature:
    runtimes that allocate before they resize need it, and those for microcontrollers trust it."""
    from detection.quiet_tensorflow import tf
    with quiet():                   # for int8 it writes its settings to stderr
        model = converter.convert()
    if static:
        return model
    from tensorflow.lite.tools import flatbuffer_utils
    interpreter = runners.interpreter(
        model_content=model, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (1, stage.size, stage.size, 3))
    interpreter.allocate_tensors()
    parts = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    tensors = parts.subgraphs[0].tensors
    for detail in interpreter.get_tensor_details():
        if detail["index"] < len(tensors):                # beyond are the interpreter's own
            tensors[detail["index"]].shape = detail["shape"]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parts))


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .tflite file with float32 weights."""
    path.write_bytes(_converted(_converter(stage, arrays, static), stage, static))


def write_float16(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
                  seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .tflite file with float16 weights."""
    from detection.quiet_tensorflow import tf
    converter = _converter(stage, arrays, static)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    path.write_bytes(_converted(converter, stage, static))


def write_int8(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
               seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .tflite file that computes in int8; its number ranges are set on `seen`, uint8 (N, H, W, 3) each."""
    from detection.quiet_tensorflow import tf
    samples = calibration.inputs(stage, seen, static)
    converter = _converter(stage, arrays, static)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path.write_bytes(_converted(converter, stage, static))
