"""Every exported net in every runtime that is installed: parity with detection's own nets, time and size. The table of
docs/export.md.

reads    EXPORTS: the folder that export/export.py wrote, of the weights in model/; picture/
prints   a Markdown table. Parity: the largest difference of face scores, offsets and landmarks from detection's, on the
         levels and crops of picture/. Time: processor time of the work that bench/roofline.py counts, one thread,
         as a multiple of that of detection's engine, the two by turns; converting the input is part of it. Size: of the
         three nets. Runtimes that are not installed are named below the table

Each runtime has a process of its own, on one processor. Those of JavaScript run in Node.js with the packages in the
folder --node, by `npm install --ignore-scripts onnxruntime-node onnxruntime-web @tensorflow/tfjs
@tensorflow/tfjs-backend-wasm`; they are not measured by turns, but one after the other.

    python export/export.py all && python bench/runtimes.py output/export --node DIR           # 2 min
"""
import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from bench import measure, roofline
from config import CASCADE, MODEL, PICTURE, PNET
from detection import images
from detection.engines import Net
from export import calibration, export, layouts, runners
from export.targets import TARGETS
from pipeline import tables

SCRIPT = Path(__file__).with_suffix(".mjs")
CROPS = 64                  # of each net, and levels of P-Net, for the parity


def litert(path):
    """A .tflite file in LiteRT's interpreter."""
    from ai_edge_litert.interpreter import Interpreter
    runner = Interpreter(str(path), num_threads=1).get_signature_runner()
    return lambda x: runner(input=x)


def opencv(path):
    """An .onnx file in OpenCV dnn."""
    net = cv2.dnn.readNetFromONNX(str(path))
    names = net.getUnconnectedOutLayersNames()

    def run(x):
        net.setInput(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        return {name.split("/")[0]: np.moveaxis(out, 1, -1) for name, out in zip(names, net.forward(names))}
    return run


def openvino_tflite(path):
    """A .tflite file in OpenVINO, which numbers the outputs in the order of their names."""
    import openvino
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    heads = sorted(layouts.USED[path.stem])
    places = [int(output.get_any_name().rpartition(":")[2]) for output in compiled.outputs]
    return lambda x: {heads[place]: out for place, out in zip(places, compiled([x]).values())}


def tract(path):
    """An .onnx file in tract, which is prepared for each shape anew."""
    import tract
    prepared = {}

    def run(x):
        if x.shape not in prepared:
            model = tract.onnx().load(str(path))
            model.set_input_fact(0, ",".join(map(str, np.transpose(x, (0, 3, 1, 2)).shape)) + ",f32")
            names = [model.output_name(i) for i in range(model.output_count())]
            prepared[x.shape] = names, model.into_model().into_runnable()
        names, runnable = prepared[x.shape]
        outputs = runnable.run([np.ascontiguousarray(x.transpose(0, 3, 1, 2))])
        return {name.split("/")[0]: np.moveaxis(out.to_numpy(), 1, -1) for name, out in zip(names, outputs)}
    return run


def node(runtime, path, folder):
    """A net in a runtime of JavaScript, in a process for each call; `run.milliseconds` is the time of the last one."""
    def run(x, count=0):
        planes = runtime.startswith("onnxruntime")
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if planes else x)
        with tempfile.TemporaryDirectory() as parts:
            files = [str(Path(parts) / name) for name in ("input", "output")]
            x.tofile(files[0])
            done = subprocess.run(["node", SCRIPT, runtime, path.resolve(), ",".join(map(str, x.shape)), *files,
                                   str(count)], cwd=folder, capture_output=True, text=True)
            if done.returncode:
                raise ImportError(done.stderr.strip().splitlines()[-1])
            said, flat = json.loads(done.stdout.splitlines()[-1]), np.fromfile(files[1], np.float32)
        run.milliseconds, found = said["milliseconds"], {}
        for name, sides in said["outputs"]:
            out, flat = np.split(flat, [np.prod(sides)])
            found[name.split("/")[0]] = np.moveaxis(out.reshape(sides), 1, -1) if planes else out.reshape(sides)
        return found
    return run


@dataclass(frozen=True)
class Runtime:
    """A row: a runtime and the format that it reads."""
    name: str
    package: str                # whose version is named: of Python, or of npm, where `javascript`
    format: str
    opens: Callable             # path -> function of float32 (N, H, W, 3) that gives {head: (N, ..., c)}
    beware: str = ""
    javascript: bool = False
    timed: bool = True


RUNTIMES = [
    Runtime("TensorFlow", "tensorflow", "savedmodel", runners.savedmodel),
    Runtime("LiteRT", "ai-edge-litert", "tflite", litert),
    Runtime("LiteRT", "ai-edge-litert", "tflite-float16", litert),
    Runtime("LiteRT", "ai-edge-litert", "tflite-int8", litert, "slower than float32: PReLU in int8 is not accelerated"),
    Runtime("ONNX Runtime", "onnxruntime", "onnx", runners.onnx,
            "on busy cores set `session.intra_op.allow_spinning` to 0"),
    Runtime("OpenVINO", "openvino", "openvino", runners.openvino, "ask for float32, or AMX computes in bfloat16"),
    Runtime("OpenVINO", "openvino", "tflite-int8", openvino_tflite, "faster than LiteRT's int8"),
    Runtime("OpenCV dnn", "opencv-python", "onnx", opencv),
    Runtime("ncnn", "ncnn", "ncnn", runners.ncnn, "one crop a call; float16 is off here"),
    Runtime("tract", "tract", "onnx", tract, "each new size is prepared anew"),
    Runtime("TensorFlow Lite Micro", "tflite-micro", "tflite-micro", runners.micro,
            "one window a call; timed on no microcontroller", timed=False),
    Runtime("onnxruntime-node", "onnxruntime-node", "onnx", partial(node, "onnxruntime-node"), javascript=True),
    Runtime("onnxruntime-web, wasm", "onnxruntime-web", "onnx", partial(node, "onnxruntime-web"),
            "WebGPU wants `onnx-web`", javascript=True),
    Runtime("TensorFlow.js, wasm", "@tensorflow/tfjs", "tfjs", partial(node, "wasm"), javascript=True),
    Runtime("TensorFlow.js, cpu", "@tensorflow/tfjs", "tfjs", partial(node, "cpu"), "only to check others",
            javascript=True, timed=False),
]


def version(row, folder):
    """Of the row's package; None where it is not installed."""
    if row.javascript:
        file = folder and folder / "node_modules" / row.package / "package.json"
        return json.loads(file.read_text())["version"] if file and file.exists() else None
    try:
        return importlib.metadata.version(row.package)
    except importlib.metadata.PackageNotFoundError:
        return None


def one(row, args):
    """Runs in the started process: prints for each net its parity and its share of the time of detection's engine."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    seen = calibration.from_images(sorted(PICTURE.glob("*.jpg")), MODEL)
    print(json.dumps([net(row, stage, calibration.spread(seen[stage.size], CROPS), args) for stage in CASCADE]),
          flush=True)


def net(row, stage, seen, args):
    """-> parity and time of a net on its inputs `seen`, uint8 (N, H, W, 3) each."""
    path = args.exports / row.format / f"{stage.name}{TARGETS[row.format].suffix}"
    run = row.opens(path, args.node) if row.javascript else row.opens(path)
    heads = layouts.USED[stage.name]
    ours, theirs = Net.load(MODEL, stage, heads), runners.ExportedNet(run, heads)
    seen = TARGETS[row.format].inputs(stage, seen)
    if stage is not PNET and not TARGETS[row.format].one_window:
        seen = [np.concatenate(seen)]
    elif row.javascript:                # a process for each call
        seen = seen[::8]
    gap = max(float(np.abs(a - b).max()) for batch in seen for a, b in zip(
        *((each.maps(batch[0]) if stage is PNET else each(batch)) for each in (ours, theirs))))
    if not row.timed:
        return gap, None
    _, pixels = roofline.work(stage, args.pixels)
    calls = {"ours": lambda: roofline.run(ours, pixels), "theirs": lambda: roofline.run(theirs, pixels)}
    if row.javascript:
        del calls["theirs"]
        run(images.normalize(pixels.reshape(-1, *pixels.shape[-3:]).astype(np.float32)), args.repeats)
    taken = {name: measure.medians(turns)[1] for name, turns in measure.by_turns(calls, args.repeats).items()}
    return gap, (np.median(run.milliseconds) / 1000 if row.javascript else taken["theirs"]) / taken["ours"]


def main(args):
    if args.one is not None:
        return one(RUNTIMES[args.one], args)
    rows, missing = [], []
    for place, row in enumerate(RUNTIMES):
        found, folder = version(row, args.node), args.exports / row.format
        if not found or not folder.is_dir():
            missing.append(f"{row.name}, {row.format}: {'not installed' if not found else f'{folder} is missing'}")
            continue
        node = ["--node", args.node] if args.node else []
        figures, _ = measure.in_a_process(__file__, args.exports, "--one", place, "--repeats", args.repeats,
                                          "--pixels", args.pixels, *node)
        if figures is None:
            missing.append(f"{row.name}, {row.format}: failed")
            continue
        parity = " / ".join(f"{gap:.0e}".replace("e-0", "e-") for gap, _ in figures)
        time = " / ".join(f"{share:.1f}" for _, share in figures) if row.timed else "-"
        rows.append([f"{row.name} {found}", f"`{row.format}`", parity, time, f"{export.size(folder) / 1000:,.0f}",
                     row.beware])
        print(rows[-1], file=sys.stderr)
    print(tables.markdown(["runtime", "format", "parity P / R / O", "time P / R / O", "size, kB", "beware"], rows))
    print()
    for sentence in missing:
        print(sentence)
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", type=Path, metavar="EXPORTS", help="folder of export/export.py")
    parser.add_argument("--node", type=Path, metavar="DIR", help="where npm installed the runtimes of JavaScript")
    parser.add_argument("--repeats", type=int, default=9, metavar="N", help="calls of each (default: 9)")
    parser.add_argument("--pixels", type=int, default=1 << 17, metavar="PX", help="px of each input (default: 131072)")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parse()))
