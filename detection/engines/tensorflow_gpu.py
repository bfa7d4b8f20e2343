"""The nets on a GPU, for mining: TensorFlow runs them in large batches. Elsewhere detection's engine is faster."""
from functools import partial
from pathlib import Path

from config import CASCADE, CROPS, Pool
from detection.engines import folded
from detection.cascade import HEADS_USED
from detection.engines import Net

DRIVERS = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")      # of NVIDIA, of AMD, of Windows below WSL


def nets(folder, stages):
    """The first nets of `folder` on the GPU that TensorFlow can use; None where there is none."""
    if not any(Path(driver).exists() for driver in DRIVERS):      # so that nobody else waits for TensorFlow
        return None
    from detection.quiet_tensorflow import tf
    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return None
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)    # the processes that mine share it
    return load(folder, stages)


def load(folder, stages):
    """The first nets of `folder` in TensorFlow, on whatever it runs."""
    return [Net.load(folder, stage, heads, Engine) for stage, heads in zip(CASCADE[:stages], HEADS_USED)]


class Engine:
    """One net in TensorFlow. Called like detection.engines.lite.Engine."""

    batch = CROPS       # crops in one call

    def __init__(self, stage, arrays, heads):
        from detection.quiet_tensorflow import tf
        layers = list(folded.layers(stage, arrays, heads))
        self._run = tf.function(partial(_forward, tf, layers),
                                input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])

    def __call__(self, batch):
        """uint8 (N, H, W, 3) -> float32 (N, c), or P-Net's (N, h, w, c)."""
        return self._run(batch).numpy()


def _forward(tf, layers, images):
    x = tf.cast(images, tf.float32)
    for _, layer, shape, weights, biases, slopes in layers:
        if isinstance(layer, Pool):
            x = tf.nn.max_pool2d(x, layer.kernel, layer.stride, "SAME" if layer.pad_end else "VALID")
            continue
        if weights.ndim == 4:
            x = tf.nn.conv2d(x, weights, 1, "VALID") + biases
        else:
            x = tf.reshape(x, [-1, weights.shape[0]]) @ weights + biases
        if slopes is not None:
            x = tf.where(x > 0, x, slopes * x)
    return x
