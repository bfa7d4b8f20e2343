"""Time of each net in each engine that runs it: detection's, and the runtimes of what export/export.py writes.

reads    EXPORTS: the folder that export/export.py wrote, of the weights in model/
prints   a Markdown table: ms for the work that bench/roofline.py counts, the lowest median of all turns; converting the
         input for an engine (float32, its order of axes) is part of its time. Each engine has a process of its own, as
         waiting threads of one would slow down the next; the processes take turns

    python export/export.py all && python bench/engines.py output/export      # a minute
    python bench/engines.py output/export --mixed --threads 1                 # sizes that no call before had
"""
import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from bench import measure, roofline
from config import CASCADE, MODEL
from detection import UserError, engines, weights
from detection.engines import lite, opencv, openvino
from pipeline import tables

DETECTION = {"TensorFlow Lite, as detection loads it": lite.Engine, "LiteRT, as detection loads it": lite.Engine,
             "OpenCV dnn": opencv.Engine, "OpenVINO": openvino.Engine, "OpenVINO, bfloat16": openvino.Reduced}
PLACE = {name: place for place, name in enumerate(list(DETECTION)[:2])}        # of the library in lite.LIBRARIES
EXPORTED = {"TensorFlow": "savedmodel", "tf.lite": "tflite", "tf.lite, float16": "tflite-float16",
            "tf.lite, int8": "tflite-int8", "ONNX Runtime": "onnx"}
ENGINES = [*DETECTION, *EXPORTED]


def one(engine, args):
    """Runs in the started process: prints the median ms of each net."""
    cv2.setNumThreads(args.threads)
    try:
        nets = load(engine, args)
    except (UserError, ImportError) as error:
        return print(f"{engine}: left out, {error}", file=sys.stderr)
    found = []
    for stage, net in zip(CASCADE, nets):
        _, pixels = roofline.work(stage, args.pixels)
        rng = np.random.default_rng(0)
        taken = measure.by_turns({engine: lambda: [roofline.run(net, part) for part in (
            pieces(pixels, rng) if args.mixed else [pixels])]}, args.repeats)
        found.append(1000 * measure.medians(taken[engine])[args.processor])
    print(json.dumps(found), flush=True)


def pieces(pixels, rng):
    """The work of a net in four pieces of other sizes at each call: bands of the image, or batches of the crops."""
    if pixels.ndim == 4:
        return np.split(pixels, np.sort(rng.choice(np.arange(1, len(pixels)), 3, replace=False)))
    cuts = np.sort(rng.choice(np.arange(16, pixels.shape[1] - 31, 16), 3, replace=False)) + rng.integers(16)
    return [np.ascontiguousarray(part[rng.integers(16):]) for part in np.split(pixels, cuts, axis=1)]


def load(engine, args):
    """The three nets, to be called like engines.Net."""
    if engine in PLACE:
        lite.LIBRARIES = lite.LIBRARIES[PLACE[engine]:][:1]
    if engine in DETECTION:
        return [engines.Net(stage, weights.read(MODEL / f"{stage.name}.npz", stage), stage.heads,
                            DETECTION[engine]) for stage in CASCADE]
    from export import runners
    if args.bfloat16:
        from detection.quiet_tensorflow import tf
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    return runners.load(args.exports / EXPORTED[engine])


def main(args):
    if args.one:
        return one(args.one, args)
    options = ["--repeats", args.repeats, "--pixels", args.pixels, "--threads", args.threads,
               *["--bfloat16"] * args.bfloat16, *["--processor"] * args.processor,
               *["--mixed"] * args.mixed]
    times = {}
    for turn in range(args.turns):
        for engine in args.engines if turn == 0 else list(times):
            found, _ = measure.in_a_process(__file__, args.exports, "--one", engine, *options)
            if found is not None:
                times.setdefault(engine, []).append(found)
    print(tables.markdown(["ms", *times], [
        [roofline.work(stage, args.pixels)[0], *(f"{min(turn[i] for turn in turns):.1f}" for turns in times.values())]
        for i, stage in enumerate(CASCADE)]))
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", type=Path, metavar="EXPORTS", help="folder of export/export.py")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="processes of each (default: 3)")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="calls in each (default: 15)")
    parser.add_argument("--pixels", type=int, default=1 << 17, metavar="PX", help="px of each input (default: 131072)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES, metavar="NAME",
                        help=f"of {', '.join(ENGINES)} (default: all)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N",
                        help="of detection's engines (default: one per processor)")
    parser.add_argument("--processor", action="store_true",
                        help="processor time of all threads, which other load affects less")
    parser.add_argument("--mixed", action="store_true",
                        help="the work in four pieces whose sizes differ in each call, as an image pyramid's do")
    parser.add_argument("--bfloat16", action="store_true", help="let TensorFlow compute in bfloat16 where it can")
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parse()))
