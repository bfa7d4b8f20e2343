"""Runs exported nets in the place of detection's own: `Detector(runners.load(folder))` is the cascade on them."""
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from config import CASCADE, HEADS, NET_PIXELS
from detection import images
from detection.engines.pool import InterpreterPool
from detection.errors import UserError
from export import layouts
from export.packages import optional

Run = Callable[[np.ndarray], dict[str, np.ndarray]]     # normalized float32 (N, H, W, 3) -> {head: (N, ..., c)}


class Runner:
    """A Run of an exported file, pickled and copied as its path; for any number of threads if the Run of `opens` is."""

    def __init__(self, opens: Callable[[Path], Run], path: Path):
        self._made_from, self._run = (opens, path), opens(path)

    def __call__(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return self._run(x)

    def __reduce__(self):
        return type(self), self._made_from


class ExportedNet:
    """An exported net, an engines.CascadeNet. path: the file that `run` runs, for messages."""

    def __init__(self, run: Run, heads: Sequence[str], path: Path | str = "an exported net"):
        self._run, self._heads, self._path = run, heads, path

    def maps(self, image: np.ndarray) -> list[np.ndarray]:
        """P-Net on one image: uint8 (H, W, 3) -> maps (h, w, c), one per head."""
        return [out[0] for out in self._forward(image[None])]

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        """uint8 (N, size, size, 3) -> float32 (N, c), one per head."""
        step = max(NET_PIXELS // crops.shape[1] ** 2, 1)
        parts = [self._forward(crops[i:i + step]) for i in range(0, len(crops), step)]
        if not parts:
            return [np.zeros((0, HEADS[head]), np.float32) for head in self._heads]
        return [np.concatenate(outs).reshape(len(crops), -1) for outs in zip(*parts)]

    def _forward(self, batch):
        outputs = self._run(images.normalize(batch.astype(np.float32)))
        for head in self._heads:
            if outputs[head].shape[-1] != HEADS[head]:
                raise UserError(f"{self._path}: gives {outputs[head].shape[-1]} numbers for {head} where POINTS of "
                                f"config.py ask for {HEADS[head]}; export the net again, or put the points back")
        return [outputs[head] for head in self._heads]


def savedmodel(path: Path) -> Run:
    """Runs a SavedModel folder."""
    from detection.quiet_tensorflow import tf
    loaded = tf.saved_model.load(str(path))

    def run(x):
        return {head: out.numpy() for head, out in loaded.signatures["serving_default"](input=tf.constant(x)).items()}
    return run


def interpreter(**how):
    """TensorFlow's own interpreter of .tflite files, without its advice to use another package's."""
    from detection.quiet_tensorflow import tf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[\\s\\S]*tf.lite.Interpreter is deprecated")
        return tf.lite.Interpreter(**how)


def tflite(path: Path) -> Run:
    """Runs a .tflite file; its input takes the size of each batch."""
    runners = InterpreterPool(lambda: interpreter(model_path=str(path)).get_signature_runner())

    def run(x):
        with runners.borrow() as runner:
            return runner(input=x)
    return run


def onnx(path: Path) -> Run:
    """Runs an .onnx file with ONNX Runtime."""
    runtime = optional("onnxruntime", "running .onnx files")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(x):
        outputs = session.run(None, {"input": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})
        return {name.split("/")[0]: np.moveaxis(out, 1, -1) for name, out in zip(names, outputs)}
    return run


def load(folder: Path) -> list[ExportedNet]:
    """The three nets that export/export.py wrote to `folder` as savedmodel, tflite, tflite-... or onnx."""
    found = []
    for stage in CASCADE:
        for suffix, run in (("", savedmodel), (".tflite", tflite), (".onnx", onnx)):
            path = Path(folder) / (stage.name + suffix)
            if path.exists():
                found.append(ExportedNet(Runner(run, path), layouts.USED[stage.name], path))
                break
        else:
            raise UserError(f"{folder}: holds no {stage.name} as SavedModel, .tflite or .onnx; "
                            "write it with `python export/export.py`")
    return found
