"""The three nets for training, as Keras models, made from the layers in config.py.

While a net trains, a batch normalisation stands between each layer and its PReLU in the place of the layer's bias.
`arrays` folds it into weights and biases, so that the net that detects is the paper's.
"""
import numpy as np

from config import HEAD_INIT, HEADS, Conv, Pool, Stage
from detection.quiet_tensorflow import keras, tf
from detection.weights import shapes, trunk
from train import layers


def build(stage: Stage, seed: int = 0, folded: bool = False, norm: type[layers.Norm] = layers.Norm) -> keras.Model:
    """Stage -> model: float32 (B, H, W, 3) normalised -> {"face": logits (B, 2), "box": (B, 4), "landmark": (B, 2P)}.

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

    x = inputs = keras.Input((None, None, 3) if stage.size == 12 else (stage.size, stage.size, 3), name="input")
    for name, layer, shape in trunk(stage):
        if layer is None:
            break
        if isinstance(layer, Pool):
            padding = "same" if layer.pad_end else "valid"
            x = keras.layers.MaxPooling2D(layer.kernel, layer.stride, padding, name=name)(x)
            continue
        if isinstance(layer, Conv):
            x = keras.layers.Conv2D(layer.channels, layer.kernel, use_bias=folded, kernel_initializer=start(name),
                                    name=name)(x)
        else:
            x = keras.layers.Flatten(name=f"{name}_flat")(x) if len(shape) == 3 else x
            x = keras.layers.Dense(layer.units, use_bias=folded, kernel_initializer=start(name), name=name)(x)
        if folded:       # in Keras' own form, which converters know
            x = keras.layers.PReLU(shared_axes=[1, 2] if len(x.shape) == 4 else None, name=f"{name}_prelu")(x)
        else:
            x = layers.PReLU(name=f"{name}_prelu")(norm(name=f"{name}_norm")(x))
    if len(shape) == 3:
        heads = {head: keras.layers.Conv2D(n, 1, name=head, **small(head))(x) for head, n in HEADS.items()}
    else:
        heads = {head: keras.layers.Dense(n, name=head, **small(head))(x) for head, n in HEADS.items()}
    return keras.Model(inputs, heads, name=stage.name)


def flat(outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Heads of crops of the net's own size -> float32 (B, c) each. Without it P-Net's (B, 1, 1, c) would broadcast
    silently against (B,) labels."""
    return {head: keras.ops.cast(keras.ops.reshape(value, (-1, HEADS[head])), "float32")
            for head, value in outputs.items()}


def arrays(model: keras.Model, stage: Stage) -> dict[str, np.ndarray]:
    """Name -> array of the model's weights, as detection/weights.py stores them, the normalisations folded in."""
    result = {}
    for name, shape in shapes(stage).items():
        layer, part = name.split("/")
        if layer in HEADS:
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
        values = np.asarray(keras.ops.cast(values, "float32"), np.float64).reshape(-1, values.shape[-1])     # (N, C)
        mean, variance = values.mean(axis=0), values.var(axis=0)
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
