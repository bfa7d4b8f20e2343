"""How much of the processor the nets use: multiply-adds of each net, GFLOP/s reached, and those of a matrix product.

reads    model/
prints   a Markdown table; one multiply-add counts as two operations, by the definition of the net (Winograd's
         method needs fewer). The last column compares processor seconds, which count all threads

    python bench/roofline.py                                                 # 15 s
"""
import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench import measure
from config import CASCADE, MODEL
from detection.engines import Net
from detection.network import Convolution, is_fully_convolutional, operations
from pipeline import tables


def multiply_adds(stage, outputs, size=None):
    """Multiply-adds of a net for that many numbers from its heads, on an input of its own size or (height, width)."""
    total = 0
    for operation in operations(stage, {"outputs": outputs}, size):
        places = math.prod(operation.output[:2]) if isinstance(operation, Convolution) else 1
        total += places * math.prod(operation.arrays.get(f"{operation.name}/weights", (0,)))
    return total


def work(stage, pixels):
    """The work on which a net is measured: (label, uint8 input of about that many px: P-Net's (H, W, 3), or crops)."""
    rng = np.random.default_rng(0)
    if is_fully_convolutional(stage):
        image = rng.integers(0, 256, (pixels // 512, 512, 3), dtype=np.uint8)
        return f"{stage.name}, image of {image.shape[1]}x{image.shape[0]}", image
    crops = rng.integers(0, 256, (pixels // stage.size ** 2, stage.size, stage.size, 3), dtype=np.uint8)
    return f"{stage.name}, {len(crops)} crops", crops


def run(net, pixels):
    """One call of a net on its work."""
    return net.maps(pixels) if pixels.ndim == 3 else net(pixels)


def main(args):
    calls, counted = {}, {}
    for stage in CASCADE:
        net = Net.load(MODEL, stage, stage.heads)
        label, pixels = work(stage, args.pixels)
        calls[label] = lambda net=net, pixels=pixels: run(net, pixels)
        outputs = 15 if "landmark" in stage.heads else 5
        counted[label] = 2 * (multiply_adds(stage, outputs, pixels.shape[:2]) if pixels.ndim == 3 else
                              len(pixels) * multiply_adds(stage, outputs))
    side = 1024
    matrix = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    calls[f"float32 matrix product, {side} cubed"] = lambda: matrix @ matrix
    counted[f"float32 matrix product, {side} cubed"] = 2 * side ** 3
    rates = {name: counted[name] / np.array(measure.medians(taken)) / 1e9
             for name, taken in measure.by_turns(calls, args.repeats).items()}
    best = rates[list(calls)[-1]]
    header = ["work", "million multiply-adds", "GFLOP/s", "GFLOP per processor second", "of the matrix product"]
    print(tables.markdown(header, [
        [name, f"{counted[name] / 2e6:.0f}", *(f"{rate:.0f}" for rate in rates[name]),
         f"{rates[name][1] / best[1]:.0%}"] for name in calls]))
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="turns (default: 15)")
    parser.add_argument("--pixels", type=int, default=1 << 17, metavar="PX", help="px of each input (default: 131072)")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
