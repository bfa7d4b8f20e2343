"""What is each part of the detector worth? Measures the weights on WIDER FACE with one change at a time.

reads    the three nets in <model>; what evaluate/wider.py reads in <data>
prints   the AP of each change as a Markdown table

The docstring of a change that brings back a defect of the baselines says so. Changes of the training are measured by
experiments/ablation.py.

    python experiments/ablation_detector.py --data DATA
"""
import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tqdm import tqdm

from config import BENCHMARK_MIN_FACE, CASCADE
from detection import Detector, images, odds
from detection import boxes as bx
from evaluate import benchmark, wider, wider_truth
from pipeline import step, tables
from preprocess.labels import wider as wider_lists


class NoVoting(Detector):
    """The box of the best window instead of the mean over the windows near it."""
    @staticmethod
    def _vote(found, windows, voters, keep):
        return found.boxes[keep]


class EqualTrust(Detector):
    """The weight of a vote is its score alone, however large the offsets of its window."""
    @staticmethod
    def _vote(found, windows, voters, keep):
        return Detector._vote(found, bx.square(found.boxes), voters, keep)


class NoEvidence(Detector):
    """The score of the best window, however many others vote for its face."""
    @staticmethod
    def _evidence(found, voters, count):
        return np.ones(count)


class OwnScore(Detector):
    """O-Net's scores alone, as in [paper]."""
    @staticmethod
    def _combine(before, *own):
        return odds.combined(*own)


class MeanScore(Detector):
    """The geometric mean of the scores, not of their odds, R-Net's as much as both of O-Net's."""
    @staticmethod
    def _combine(before, *own):
        return np.sqrt(before * np.prod(own, axis=0) ** (1 / len(own)))


class NoFlip(Detector):
    """No horizontal-flip test-time augmentation: O-Net gets each window only once."""
    def _predict(self, net, crops, flip=False):
        return super()._predict(net, crops)


class NoSmallProposals(Detector):
    """Defect of baseline L: proposals of P-Net under 20 px are dropped, whatever the minimum face size."""
    def _refine(self, scales, proposals):
        return super()._refine(scales, proposals.take(bx.shorter_side(proposals.boxes) >= 20))


class OneThreshold(Detector):
    """P-Net and R-Net with the same threshold for windows of all sizes, at the bottom border, too."""
    def limits(self, net, octaves, below=False):
        return np.full(len(octaves), self.thresholds[net], np.float32)


class CutWindows(Detector):
    """Defect of both baselines: padding cuts the window in place, so boxes at the border are decoded from the rest of
    it."""
    def _classify(self, net, scales, proposals):
        found, windows = super()._classify(net, scales, proposals)
        height, width = scales[0].shape[:2]
        boxes = bx.decode(bx.encode(found.boxes, windows), bx.clip(windows, width, height))
        return dataclasses.replace(found, boxes=boxes), windows


CHANGES = {"none": Detector, "no box voting": NoVoting, "votes by score alone": EqualTrust,
           "no evidence of votes": NoEvidence, "O-Net's score alone": OwnScore,
           "mean of scores, not of odds": MeanScore, "no flip pass": NoFlip,
           "one threshold for all sizes": OneThreshold,
           "proposals under 20 px dropped": NoSmallProposals, "windows cut at the border": CutWindows}


def main(args):
    step.require("scipy")
    folder = args.data / wider_lists.VAL_IMAGES
    truth = wider_truth.read_truth(args.data / wider.TRUTH)
    names = wider.choose(truth, folder)
    thresholds = [stage.benchmark_threshold for stage in CASCADE]
    min_face = BENCHMARK_MIN_FACE["wider"]
    detectors = {change: CHANGES[change](args.model, min_face, thresholds) for change in args.changes}
    found = {change: [] for change in detectors}
    for name in tqdm(names, unit=" image"):
        image = images.read(folder / f"{name}.jpg")
        for change, detector in detectors.items():
            faces = detector.detect(image)
            found[change].append((faces.boxes, faces.scores))
    scores = {change: wider.score([truth[name] for name in names], results)[0]
              for change, results in found.items()}
    print(tables.markdown(["change", *wider_truth.SETS],
                          [[change, *benchmark.aps(numbers)] for change, numbers in scores.items()]))


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES), metavar="NAME",
                           help="of " + "; ".join(CHANGES) + " (default: all)")
    step.run(main, arguments)
