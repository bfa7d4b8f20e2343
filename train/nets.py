"""The three nets for training, as Keras models, made from the layers in config.py.

While a net trains, a batch normalisation stands between each layer and its PReLU in the place of the layer's bias.
`arrays` folds it into weights and biases, so that the net that detects is the paper's.
"""
import math

import numpy as np

from config import HEAD_INIT, HEADS, Stage
from detection.boxes import MIRROR_OFFSETS, MIRROR_SHIFT, MIRROR_SIGN, MIRROR_TAKE
from detection.network import INPUT, Convolution, FullyConnected, MaxPooling, PReLU, is_fully_convolutional, operations
from detection.quiet_tensorflow import keras, tf
from detection.weights import shapes
from train import layers


def build(stage: Stage, seed: int = 0, folded: bool = False, norm: type[layers.Norm] = layers.Norm) -> keras.Model:
    """Stage -> model: float32 (B, H, W, 3) normalized -> {"face": logits (B, 2), "box": (B, 4), "landmark": (B, 2P)}.

    folded: with biases instead of normalizations: the net that detects, for export. norm: the layer that normalizes.

    P-Net takes any height and width and gives maps (B, h, w, c); `flat` turns those of 12 px crops into (B, c).
    """
    def start(name):
        """Glorot uniform from the net's seed and the array's name: adding a layer changes no other's start."""
        return keras.initializers.GlorotUniform(seed=sum(name.encode()) * 1000 + seed)

    def small(head):
        """Heads start near "maybe a face, just here, its points in the middle": larger first losses shake the trunk."""
        return {"kernel_initializer": keras.initializers.RandomNormal(stddev=HEAD_INIT, seed=start(head).seed),
                "bias_initializer": keras.initializers.Constant(0.5 if head == "landmark" else 0.0)}

    def trained(name):
        """Options of a layer with weights: a head, or a layer of the trunk, whose bias the normalization replaces."""
        return small(name) if name in HEADS else {"use_bias": folded, "kernel_initializer": start(name)}

    side = None if is_fully_convolutional(stage) else stage.size
    outputs = {INPUT: keras.Input((side, side, 3), name=INPUT)}
    for operation in operations(stage):
        name, x = operation.name, outputs[operation.source]
        match operation:
            case MaxPooling(kernel=kernel, stride=stride):
                y = keras.layers.MaxPooling2D(kernel, stride, "same" if operation.pad_end else "valid", name=name)(x)
            case Convolution():
                y = keras.layers.Conv2D(operation.output[-1], operation.kernel, name=name, **trained(name))(x)
            case FullyConnected():
                if folded and len(operation.input) == 3:   # Flatten becomes four operations of TensorFlow Lite
                    x = keras.ops.reshape(x, (-1, math.prod(operation.input)))
                elif len(operation.input) == 3:
                    x = keras.layers.Flatten(name=f"{name}_flat")(x)
                y = keras.layers.Dense(operation.output[-1], name=name, **trained(name))(x)
            case PReLU() if folded:       # Keras' own layer, which converters know
                y = keras.layers.PReLU(shared_axes=[1, 2] if len(operation.input) == 3 else None,
                                       name=f"{operation.source}_prelu")(x)
            case PReLU():
                y = layers.PReLU(name=f"{operation.source}_prelu")(norm(name=f"{operation.source}_norm")(x))
            case _:
                raise TypeError(operation)
        outputs[name] = y
    return keras.Model(outputs[INPUT], {head: outputs[head] for head in HEADS}, name=stage.name)


def flat(outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Heads of crops of the net's own size -> float32 (B, c) each. Without it P-Net's (B, 1, 1, c) would broadcast
    silently against (B,) labels."""
    return {head: keras.ops.cast(keras.ops.reshape(value, (-1, HEADS[head])), "float32")
            for head, value in outputs.items()}


def both_ways(model: keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Crops of the net's own size (B, s, s, 3) -> the mean of its answers to them and to them mirrored, scores (B, 2)
    for the face."""
    plain, other = (flat(model(each, training=False)) for each in (images, images[:, :, ::-1]))
    points = tf.gather(other["landmark"], MIRROR_TAKE, axis=1) * MIRROR_SIGN + MIRROR_SHIFT
    return {"face": (tf.nn.softmax(plain["face"]) + tf.nn.softmax(other["face"])) / 2,
            "box": (plain["box"] + other["box"] @ MIRROR_OFFSETS) / 2, "landmark": (plain["landmark"] + points) / 2}


def arrays(model: keras.Model, stage: Stage, landmarks: bool = True) -> dict[str, np.ndarray]:
    """Name -> array of the model's weights, as detection/weights.py stores them, the normalisations folded in.

    landmarks: whether the net was trained with them; else the arrays of their head are zeros.
    """
    result = {}
    for name, shape in shapes(stage).items():
        layer, part = name.split("/")
        if layer == "landmark" and not landmarks:
            array = np.zeros(shape)
        elif layer in HEADS:
            array = _value(model, layer, _VARIABLES[part])
        elif part == "alphas":
            array = _value(model, f"{layer}_prelu", "alpha")
        else:
            gain, shift = _norm(model, layer)
            array = _value(model, layer, "kernel") * gain if part == "weights" else shift
        result[name] = array.astype(np.float32).reshape(shape)
    return result


_VARIABLES = {"weights": "kernel", "biases": "bias"}


def _value(model, layer, variable):
    return getattr(model.get_layer(layer), variable).numpy()


def _norm(model, layer):
    """The normalisation after `layer`, as output * gain + shift, each (channels,), float64."""
    norm = model.get_layer(f"{layer}_norm")
    mean, variance, gamma, beta = (v.numpy().astype(np.float64)
                                   for v in (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta))
    gain = gamma / np.sqrt(variance + norm.epsilon)
    return gain, beta - mean * gain


def settle(model: keras.Model, images: tf.Tensor) -> None:
    """After `assign`: gives each normalisation the mean and deviation that the images (B, s, s, 3) have there.

    It predicts what it did, and now does the same while training, where a normalisation uses the batch's own mean and
    deviation. Without this, weights to start from would be lost with the first batch.
    """
    norms = [layer for layer in model.layers if isinstance(layer, layers.Norm)]
    for norm, values in zip(norms, keras.Model(model.inputs, [norm.input for norm in norms])(images)):
        values = np.asarray(keras.ops.cast(values, "float32")).reshape(-1, values.shape[-1])                 # (N, C)
        parts = (values[:, start:start + 8].astype(np.float64) for start in range(0, values.shape[1], 8))
        mean, variance = np.concatenate([(part.mean(axis=0), part.var(axis=0)) for part in parts], axis=1)
        norm.gamma.assign(np.sqrt(variance + norm.epsilon))
        norm.beta.assign(norm.beta.numpy() + mean)
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)


def assign(model: keras.Model, stage: Stage, values: dict[str, np.ndarray]) -> None:
    """Puts arrays of that form into the model. Its normalisations then let all through as it is, but for the bias."""
    for name in shapes(stage):
        layer, part = name.split("/")
        if layer in HEADS:
            target = getattr(model.get_layer(layer), _VARIABLES[part])
        elif part == "weights":
            target = model.get_layer(layer).kernel
        elif part == "alphas":
            target = model.get_layer(f"{layer}_prelu").alpha
        elif model.get_layer(layer).use_bias:
            target = model.get_layer(layer).bias
        else:
            norm = model.get_layer(f"{layer}_norm")
            norm.gamma.assign(np.ones(norm.gamma.shape))
            norm.moving_mean.assign(np.zeros(norm.gamma.shape))
            norm.moving_variance.assign(np.full(norm.gamma.shape, 1 - norm.epsilon))
            target = norm.beta
        target.assign(values[name].reshape(target.shape))
