"""Averages the weights of several trainings of one net that began at the same weights; mostly better than each of them.

reads    FILE ...: weights of the net; a file named twice counts twice
writes   <out>

For a round with --init-from: average what it began at and what came out. Averages of nets that began at different
weights are of no use, so these are refused: unit 5 of one is not unit 5 of the other.

    python train/train.py 24 --init-from model/rnet.npz --model round2
    python train/average_weights.py 24 model/rnet.npz round2/rnet.npz --out model/rnet.npz

Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, and "Model soups", ICML 2022.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import STAGES  # noqa: E402
from detection import UserError, weights  # noqa: E402
from detection.errors import run_main  # noqa: E402

SAME_START = 0.5      # cosine of two nets' kernels, at least; 0.9 after a round of training, 0.1 for strangers: [ours]


def kernels(arrays):
    """Name -> array of one net -> all weights of its convolutions and dense layers: (N,)."""
    return np.concatenate([array.ravel() for name, array in sorted(arrays.items()) if name.endswith("/weights")])


def likeness(a, b):
    """Cosine of the angle between the kernels of two nets."""
    a, b = kernels(a), kernels(b)
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))


def average(nets):
    """Nets (name -> float32 array) -> the mean of each array."""
    return {name: np.mean([net[name] for net in nets], axis=0, dtype=np.float64).astype(np.float32) for name in nets[0]}


def main(args):
    stage = STAGES[args.size]
    if len(args.files) < 2:
        raise UserError(f"{args.files[0]}: an average needs at least two files; name another")
    nets = [weights.read(path, stage) for path in args.files]
    for path, net in zip(args.files[1:], nets[1:]):
        cosine = likeness(nets[0], net)
        if cosine < SAME_START:
            raise UserError(f"{path}: did not begin at the weights that {args.files[0]} began at (their cosine is "
                            f"{cosine:.2f}), so their average finds nothing; train one from the other "
                            "with --init-from")
    weights.write_arrays(args.out, average(nets))
    print(f"{args.out}: the mean of {len(nets)} times {stage.name}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("size", type=int, choices=STAGES, help="of the net, px")
    arguments.add_argument("files", type=Path, nargs="+", metavar="FILE", help="weights to average")
    arguments.add_argument("--out", type=Path, required=True, metavar="FILE", help="the average; may be one of them")
    run_main(main, arguments.parse_args())
