"""How much of the processor the nets use: multiply-adds of each net, GFLOP/s reached, and those of a matrix product.

reads    model/
prints   a Markdown table; one multiply-add counts as two operations, by the definition of the net (Winograd's
         method needs fewer). The last column compares processor seconds, which count all threads

    python bench/roofline.py                                                 # 15 s
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench import measure
from config import CASCADE, MODEL, PNET, Conv, Dense
from detection.cascade import HEADS_USED
from detection.engines import Net
from detection.weights import trunk
from pipeline import tables


def multiply_adds(stage, outputs):
    """Multiply-adds of a net on one crop of its own size, for that many numbers from its heads."""
    total = 0
    for _, layer, shape in trunk(stage):
        if isinstance(layer, Conv):
            total += (shape[0] - layer.kernel + 1) ** 2 * layer.kernel ** 2 * shape[2] * layer.channels
        elif isinstance(layer, Dense):
            total += int(np.prod(shape)) * layer.units
        elif layer is None:
            total += int(np.prod(shape)) * outputs
    return total


def work(stage, pixels):
    """The work on which a net is measured: (label, uint8 input of about that many px: P-Net's (H, W, 3), or crops)."""
    rng = np.random.default_rng(0)
    if stage is PNET:
        image = rng.integers(0, 256, (pixels // 512, 512, 3), dtype=np.uint8)
        return f"{stage.name}, canvas of {image.shape[1]}x{image.shape[0]}", image
    crops = rng.integers(0, 256, (pixels // stage.size ** 2, stage.size, stage.size, 3), dtype=np.uint8)
    return f"{stage.name}, {len(crops)} crops", crops


def run(net, pixels):
    """One call of a net on its work."""
    return net.maps(pixels) if pixels.ndim == 3 else net(pixels)


def main(args):
    calls, operations = {}, {}
    for stage, heads in zip(CASCADE, HEADS_USED):
        net = Net.load(MODEL, stage, heads)
        label, pixels = work(stage, args.pixels)
        calls[label] = lambda net=net, pixels=pixels: run(net, pixels)
        operations[label] = 2 * (canvas_multiply_adds(stage, pixels.shape) if stage is PNET else
                                 len(pixels) * multiply_adds(stage, 15 if "landmark" in heads else 5))
    side = 1024
    matrix = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    calls[f"float32 matrix product, {side} cubed"] = lambda: matrix @ matrix
    operations[f"float32 matrix product, {side} cubed"] = 2 * side ** 3
    rates = {name: operations[name] / np.array(measure.medians(taken)) / 1e9
             for name, taken in measure.by_turns(calls, args.repeats).items()}
    best = rates[list(calls)[-1]]
    header = ["work", "million multiply-adds", "GFLOP/s", "GFLOP per processor second", "of the matrix product"]
    print(tables.markdown(header, [
        [name, f"{operations[name] / 2e6:.0f}", *(f"{rate:.0f}" for rate in rates[name]),
         f"{rates[name][1] / best[1]:.0%}"] for name in calls]))
    print()
    measure.machine()


def canvas_multiply_adds(stage, shape):
    """Multiply-adds of P-Net sliding over an image (height, width, 3)."""
    height, width, channels = shape
    total = 0
    for layer in stage.layers:
        if isinstance(layer, Conv):
            height, width = height - layer.kernel + 1, width - layer.kernel + 1
            total += height * width * layer.kernel ** 2 * channels * layer.channels
            channels = layer.channels
        else:
            height, width = -(-height // layer.stride), -(-width // layer.stride)
    return total + height * width * channels * 5


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="turns (default: 15)")
    parser.add_argument("--pixels", type=int, default=1 << 17, metavar="PX", help="px of each input (default: 131072)")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
