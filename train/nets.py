"""The three nets for training, as Keras models, made from the layers in config.py."""
from config import HEADS, PRELU_INIT, Conv, Pool, Stage
from detection.weights import shapes, trunk
from preprocess.quiet_tensorflow import keras


def build(stage: Stage, seed=0):
    """Stage -> model: float32 (B, H, W, 3) normalised -> {"face": logits (B, 2), "box": (B, 4), "landmark": (B, 10)}.

    P-Net takes any height and width and gives maps (B, h, w, c); `flat` turns those of 12 px crops into (B, c).
    """
    def start(name):
        """Glorot uniform from the net's seed and the array's name: adding a layer changes no other's start."""
        return keras.initializers.GlorotUniform(seed=sum(name.encode()) * 1000 + seed)

    x = inputs = keras.Input((None, None, 3) if stage.size == 12 else (stage.size, stage.size, 3), name="input")
    for name, layer, shape in trunk(stage):
        if layer is None:
            break
        if isinstance(layer, Pool):
            padding = "same" if layer.pad_end else "valid"
            x = keras.layers.MaxPooling2D(layer.kernel, layer.stride, padding, name=name)(x)
            continue
        if isinstance(layer, Conv):
            x = keras.layers.Conv2D(layer.channels, layer.kernel, kernel_initializer=start(name), name=name)(x)
            across = [1, 2]
        else:
            x = keras.layers.Flatten(name=f"{name}_flat")(x) if len(shape) == 3 else x
            x = keras.layers.Dense(layer.units, kernel_initializer=start(name), name=name)(x)
            across = None
        x = keras.layers.PReLU(keras.initializers.Constant(PRELU_INIT), shared_axes=across, name=f"{name}_prelu")(x)
    if len(shape) == 3:
        heads = {head: keras.layers.Conv2D(n, 1, kernel_initializer=start(head), name=head)(x)
                 for head, n in HEADS.items()}
    else:
        heads = {head: keras.layers.Dense(n, kernel_initializer=start(head), name=head)(x) for head, n in HEADS.items()}
    return keras.Model(inputs, heads, name=stage.name)


def flat(outputs):
    """Heads of crops of the net's own size -> float32 (B, c) each. Without it P-Net's (B, 1, 1, c) would broadcast silently
    against (B,) labels."""
    return {head: keras.ops.cast(keras.ops.reshape(value, (-1, HEADS[head])), "float32")
            for head, value in outputs.items()}


def variable(model, name):
    """The variable of array `name` of the weights file, e.g. "conv1/alphas"."""
    layer, part = name.split("/")
    if part == "alphas":
        return model.get_layer(f"{layer}_prelu").alpha
    return getattr(model.get_layer(layer), {"weights": "kernel", "biases": "bias"}[part])


def arrays(model, stage: Stage):
    """Name -> array of the model's weights, as detection/weights.py stores them."""
    return {name: variable(model, name).numpy().reshape(shape) for name, shape in shapes(stage).items()}


def assign(model, stage: Stage, values):
    """Puts arrays of that form into the model."""
    for name in shapes(stage):
        target = variable(model, name)
        target.assign(values[name].reshape(target.shape))
