"""TensorFlow on a GPU as the engine, for mining: it runs large batches. On a CPU the other engines are faster."""
from collections.abc import Sequence
from pathlib import Path

from config import CASCADE, CROPS, HEADS, Stage
from detection.engines import folded
from detection.engines.net import Net
from detection.network import Convolution, FullyConnected, MaxPooling, Operation, PReLU
from detection.types import Arrays, Floats, Image

DRIVERS = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")      # of NVIDIA, of AMD, of Windows below WSL


def nets(folder: Path | str, count: int) -> list[Net] | None:
    """The first `count` nets of `folder` on the GPU that TensorFlow can use; None where there is no GPU."""
    if not any(Path(driver).exists() for driver in DRIVERS):      # so that other machines need not import TensorFlow
        return None
    from detection.quiet_tensorflow import tf
    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return None
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)    # the processes that mine share its memory
    return load(folder, count)


def load(folder: Path | str, count: int) -> list[Net]:
    """The first `count` nets of `folder` in TensorFlow, wherever it runs."""
    return [Net.load(folder, stage, stage.heads, Engine) for stage in CASCADE[:count]]


class Engine:
    """One net in TensorFlow."""

    batch = CROPS

    def __init__(self, stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS)):
        from detection.quiet_tensorflow import tf
        self._operations, self._arrays = folded.fold(stage, arrays, heads)
        self._run = tf.function(self._forward, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])

    def __call__(self, batch: Image) -> Floats:
        """uint8 (N, H, W, 3) -> float32 (N, c), or maps (N, h, w, c) of a fully convolutional net."""
        return self._run(batch).numpy()

    def _forward(self, images):
        from detection.quiet_tensorflow import tf
        return forward(self._operations, self._arrays, tf.cast(images, tf.float32))


def forward(operations: Sequence[Operation], arrays: Arrays, x):
    """Operations of a net and its arrays, on a float32 tensor (N, H, W, 3) -> tensor (N, c) or maps (N, h, w, c)."""
    from detection.quiet_tensorflow import tf
    for operation in operations:
        values = [arrays[name] for name in operation.arrays]
        match operation:
            case MaxPooling():
                padding = "SAME" if operation.pad_end else "VALID"
                x = tf.nn.max_pool2d(x, operation.kernel, operation.stride, padding)
            case PReLU():
                x = tf.where(x > 0, x, values[0] * x)
            case Convolution():
                x = tf.nn.conv2d(x, values[0], 1, "VALID") + values[1]
            case FullyConnected():
                x = tf.reshape(x, [-1, len(values[0])]) @ values[0] + values[1]
    return x
