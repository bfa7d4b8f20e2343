"""Time of each net in each engine that can run it: OpenCV's dnn, which detection uses, TensorFlow, TFLite, ONNX Runtime.

reads    EXPORTS: the folder that train/export.py wrote, of the weights in model/
prints   a markdown table: median ms of the work that bench/roofline.py counts; what an engine wants of its input
         (float32, its order of axes) is part of its time

    python train/export.py all && python bench/engines.py output/export      # half a minute
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import measure, roofline  # noqa: E402
from config import CASCADE, MODEL  # noqa: E402
from detection import UserError  # noqa: E402
from detection.cascade import HEADS_USED  # noqa: E402
from detection.runtime import Net  # noqa: E402
from train import exported  # noqa: E402

FORMATS = {"savedmodel": "TensorFlow", "tflite": "TFLite", "tflite-float16": "TFLite, float16 weights",
           "tflite-int8": "TFLite, int8", "onnx": "ONNX Runtime"}


def main(args):
    if args.bfloat16:
        from preprocess.quiet_tensorflow import tf
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    engines = {"OpenCV dnn": [Net.load(MODEL, stage, heads) for stage, heads in zip(CASCADE, HEADS_USED)]}
    for name, engine in FORMATS.items():
        try:
            engines[engine] = exported.load(args.exports / name)
        except UserError as error:
            print(f"{engine}: left out, {error}", file=sys.stderr)
    rows = []
    for i, stage in enumerate(CASCADE):
        label, pixels = roofline.work(stage, args.pixels)
        taken = measure.by_turns({name: lambda net=nets[i]: roofline.run(net, pixels) for name, nets in engines.items()},
                                 args.repeats)
        rows.append([label, *(f"{1000 * measure.medians(taken[name])[0]:.1f}" for name in engines)])
    measure.table(["ms", *engines], rows)
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", type=Path, metavar="EXPORTS", help="folder of train/export.py")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="turns (default: 15)")
    parser.add_argument("--pixels", type=int, default=1 << 17, metavar="PX", help="px of each input (default: 131072)")
    parser.add_argument("--bfloat16", action="store_true", help="let TensorFlow compute in bfloat16 where it can")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
