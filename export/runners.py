"""Runs exported nets in the place of detection's own: `Detector(runners.load(folder))` is the cascade on them."""
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from config import CASCADE, HEADS, NET_PIXELS
from detection import images
from detection.engines.pool import InterpreterPool
from detection.errors import UserError
from detection.network import INPUT
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


def openvino(path: Path) -> Run:
    """Runs an .xml file with OpenVINO, in float32."""
    core = optional("openvino", "running .xml files").Core()
    compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [output.get_any_name() for output in compiled.outputs]
    requests = InterpreterPool(compiled.create_infer_request)

    def run(x):
        with requests.borrow() as request:
            outputs = request.infer([np.ascontiguousarray(x.transpose(0, 3, 1, 2))]).values()
            return {name.split("/")[0]: np.moveaxis(out.copy(), 1, -1) for name, out in zip(names, outputs)}
    return run


def ncnn(path: Path) -> Run:
    """Runs a .param file, and the .bin file beside it, with ncnn in float32, one image or crop at a time."""
    package = optional("ncnn", "running .param files")
    net = package.Net()
    net.opt.num_threads = 1                         # nets as small as these take longer with more
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))
    names = net.output_names()

    def forward(image):
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        with net.create_extractor() as extractor:
            extractor.input(INPUT, package.Mat(planes).clone())              # a Mat does not own an array's memory
            return [np.moveaxis(np.array(extractor.extract(name)[1]), 0, -1) for name in names]

    return lambda x: {name: np.stack(outs) for name, outs in zip(names, zip(*map(forward, x)))}


def micro(path: Path) -> Run:
    """Runs a .tflite file of fixed shapes as a microcontroller does, one crop at a time."""
    runtime = optional("tflite_micro", "running .tflite files as microcontrollers do").runtime
    named = interpreter(model_path=str(path))
    places = [output["index"] for output in named.get_output_details()]
    order = {head: places.index(output["index"])
             for head, output in named.get_signature_runner().get_output_details().items()}
    interpreters = InterpreterPool(lambda: runtime.Interpreter.from_file(str(path)))

    def forward(crop):
        with interpreters.borrow() as run:
            run.set_input(crop[None], 0)
            run.invoke()
            return [run.get_output(place)[0] for place in order.values()]

    return lambda x: {head: np.stack(outs) for head, outs in zip(order, zip(*map(forward, x)))}


def load(folder: Path) -> list[ExportedNet]:
    """The three nets that export/export.py wrote to `folder` as savedmodel, tflite, tflite-..., onnx, openvino or
    ncnn."""
    found = []
    for stage in CASCADE:
        for suffix, run in (("", savedmodel), (".tflite", tflite), (".onnx", onnx), (".xml", openvino),
                            (".param", ncnn)):
            path = Path(folder) / (stage.name + suffix)
            if path.exists():
                found.append(ExportedNet(Runner(run, path), layouts.USED[stage.name], path))
                break
        else:
            raise UserError(f"{folder}: holds no {stage.name} as SavedModel, .tflite, .onnx, .xml or .param; "
                            "write it with `python export/export.py`")
    return found
