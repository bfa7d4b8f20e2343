"""Weight averaging: the mean of several trainings of one net with the same start; mostly better than each of them.

reads    FILE ...: weights of the net; a file named twice counts twice
writes   <out>

After a warm start with --init-from, average the weights before and after that training. Nets with different starts are
refused, as their average is useless: unit 5 of one is not unit 5 of the other. P-Net and R-Net have no landmarks where
one of the nets was trained without, as on tiles; detection takes them from O-Net, for which such a mix is refused.

    python train/train.py 24 --init-from model/rnet.npz --model round2
    python train/average_weights.py 24 model/rnet.npz round2/rnet.npz --out model/rnet.npz

Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, and "Model soups", ICML 2022.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import STAGES
from detection import UserError, weights
from detection.errors import run_main

SAME_START = 0.5      # cosine of two nets' kernels, at least; 0.9 after a warm start, 0.1 for unrelated nets: [ours]


def kernels(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Name -> array of one net -> all weights of its convolutions and dense layers: (N,)."""
    return np.concatenate([array.ravel() for name, array in sorted(arrays.items()) if name.endswith("/weights")])


def likeness(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """Cosine of the angle between the kernels of two nets."""
    a, b = kernels(a), kernels(b)
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))


def average(nets: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Nets (name -> float32 array) -> the mean of each array."""
    return {name: np.mean([net[name] for net in nets], axis=0, dtype=np.float64).astype(np.float32) for name in nets[0]}


def without_landmarks(net: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A net (name -> array) -> the same as if it had been trained without landmarks."""
    return {name: np.zeros_like(array) if name.startswith("landmark/") else array for name, array in net.items()}


def main(args: argparse.Namespace) -> None:
    stage = STAGES[args.size]
    if len(args.files) < 2:
        raise UserError(f"{args.files[0]}: an average needs at least two files; name another")
    nets = [weights.read(path, stage) for path in args.files]
    if len({weights.have_landmarks(net) for net in nets}) > 1:
        if "landmark" in stage.heads:
            raise UserError(f"{args.files[0]}: some of these nets were trained without landmarks and some with; an "
                            "average would have half of each landmark; name nets that are alike")
        nets = [without_landmarks(net) for net in nets]
    for path, net in zip(args.files[1:], nets[1:]):
        cosine = likeness(nets[0], net)
        if cosine < SAME_START:
            raise UserError(f"{path}: does not have the same start as {args.files[0]} (the cosine of their weights is "
                            f"{cosine:.2f}), so their average would be useless; train one from the other with "
                            "--init-from")
    weights.write_arrays(args.out, average(nets))
    print(f"{args.out}: the mean of {len(nets)} times {stage.name}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("size", type=int, choices=STAGES, help="input size of the net, px")
    arguments.add_argument("files", type=Path, nargs="+", metavar="FILE",
                           help="weights to average; a file named twice counts twice")
    arguments.add_argument("--out", type=Path, required=True, metavar="FILE",
                           help="where the average is written; may be one of these files")
    run_main(main, arguments.parse_args())
