"""The formats that nets are exported to: one module each, with a function `write`, and the table TARGETS of them all.
`DETECTORS` are those of the whole detector.

The project's own formats take normalized BGR, (pixel - 127.5) / 128, and give "face" (probabilities of no face and
face), "box" and, for O-Net, "landmark": the heads that detection uses. The others are for the package of their name.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from config import Stage
from detection.align import require_facial_points
from export import calibration, packages, runners
from export.targets import (
    coreml,
    detector_onnx,
    detector_savedmodel,
    facenet_pytorch,
    mtcnn,
    mtcnn_opencv,
    ncnn,
    onnx,
    openvino,
    savedmodel,
    tfjs,
    tflite,
    tflite_micro,
    web,
)


@dataclass(frozen=True)
class Target:
    """One format."""
    suffix: str                                  # of the file of a net; "": a folder
    write: Callable[..., str | None]             # (stage, arrays, path, static, seen), as `savedmodel.write`; what it
                                                 # returns is printed after the size
    run: Callable | None = None                  # path -> function that runs the net (export/runners.py)
    needs: tuple[str, ...] = ()                  # packages that writing it needs, besides those of training
    runtime: str = "tensorflow"                  # the package that runs it
    five_points: bool = False                    # only for the five facial landmarks
    one_window: bool = False                     # P-Net takes one window only
    even_sides: bool = False                     # P-Net takes images of even sides only
    fixed: bool = False                          # its sizes can be fixed: `static` means something

    def inputs(self, stage: Stage, seen: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Inputs of a net, uint8 (N, H, W, 3) each -> those that a file of this format takes."""
        if self.one_window:
            return calibration.windows(seen, stage.size)
        if self.even_sides:
            return [batch[:, :batch.shape[1] // 2 * 2, :batch.shape[2] // 2 * 2] for batch in seen]
        return seen

    def require(self, name: str) -> None:
        """UserError unless the packages that writing it needs are installed, and our points are this format's."""
        if self.five_points:
            require_facial_points(f"the format {name}")
        for package in self.needs:
            packages.require(package, f"the format {name}")


TARGETS = {
    "savedmodel": Target("", savedmodel.write, runners.savedmodel, fixed=True),
    "tflite": Target(".tflite", tflite.write, runners.tflite, fixed=True),
    "tflite-float16": Target(".tflite", tflite.write_float16, runners.tflite, fixed=True),
    "tflite-int8": Target(".tflite", tflite.write_int8, runners.tflite, fixed=True),
    "onnx": Target(".onnx", onnx.write, runners.onnx, runtime="onnxruntime"),
    "onnx-web": Target(".onnx", onnx.write_web, runners.onnx, runtime="onnxruntime", even_sides=True),
    "openvino": Target(".xml", openvino.write, runners.openvino, needs=("openvino",), runtime="openvino"),
    "ncnn": Target(".param", ncnn.write, runners.ncnn, needs=("pnnx",), runtime="ncnn"),
    "tfjs": Target(".json", tfjs.write),
    "tflite-micro": Target(".tflite", tflite_micro.write, runners.micro, runtime=tflite_micro.RUNTIME, one_window=True,
                           fixed=True),
    "coreml": Target(".mlpackage", coreml.write, needs=("coremltools",), fixed=True),
    "mtcnn": Target(".lz4", mtcnn.write, needs=("joblib", "lz4"), five_points=True),
    "facenet-pytorch": Target(".pt", facenet_pytorch.write, needs=("torch",), five_points=True),
    "mtcnn-opencv": Target(".onnx", mtcnn_opencv.write, needs=("onnx",), five_points=True),
}

DETECTORS = {                   # name -> suffix of the file, or "" for a folder; (arrays by net, path, rgb) -> None
    "detector-onnx": (".onnx", detector_onnx.write),
    "detector-savedmodel": ("", detector_savedmodel.write),
    "web": ("", web.write),
}
