"""Step 1: random crops of the WIDER FACE images -> positive, part and negative samples for P-Net.

reads    <data>/wider_face_split/wider_face_train_bbx_gt.txt (or <data>/wider_face_train.txt, one image per line)
         and the images in <data>/WIDER_train/images; further sets of images in <data>/sets (preprocess/labels/sets.py)
writes   <work>/12/positive.txt, part.txt, negative.txt and the manifest 12net.json
expect   from all 12,880 images 0.8 M positives and more, 2.7 M parts, 2.8 M negatives
"""
import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import (
    MIN_TRUTH_SIZE,
    NEAR_NEGATIVE_TRIES,
    NEGATIVE,
    NEGATIVE_ROUNDS,
    NEGATIVES_PER_IMAGE,
    PART,
    PNET,
    POSITIVE,
    POSITIVE_TRIES,
    Stage,
)
from detection import boxes as bx
from detection import images
from pipeline import settings as st
from pipeline import step
from preprocess import crops, labels, lists, samples
from preprocess.labels import AnnotatedImage, sets

KINDS = ("positive", "part", "negative")


@dataclass(frozen=True)
class Sampler:
    """Called with one image: -> its samples as lines, counts of its faces. UserError where the image cannot be read or
    a face lies outside of it."""
    data: Path
    seed: int

    def __call__(self, image: AnnotatedImage) -> tuple[list[str], dict[str, int]]:
        height, width = images.read(self.data / image.path).shape[:2]
        labels.require_inside(image, width, height)
        rng = samples.rng("12net", image.path, self.seed)
        truth, ignored = labels.split(image, MIN_TRUTH_SIZE)

        def keep(tries, *wanted):
            return tries[np.isin(samples.label(tries, truth, ignored, PNET.part_iou)[0], wanted)]

        chosen = bx.empty(0, 4)
        for _ in range(NEGATIVE_ROUNDS if image.complete else 0):
            found = keep(crops.background(rng, width, height, NEGATIVES_PER_IMAGE), NEGATIVE)
            chosen = np.concatenate([chosen, found])[:NEGATIVES_PER_IMAGE]
            if len(chosen) == NEGATIVES_PER_IMAGE:
                break
        chosen = [chosen]
        for face in truth:
            if image.complete:
                chosen.append(keep(crops.near(rng, face, width, height, NEAR_NEGATIVE_TRIES), NEGATIVE))
            tries = crops.pushed_in(crops.around(rng, face, POSITIVE_TRIES), width, height)
            chosen.append(keep(tries, POSITIVE, PART))
        chosen = np.concatenate(chosen)
        kinds, faces = samples.label(chosen, truth, ignored, PNET.part_iou)
        return samples.box_lines(image.path, chosen, kinds, faces), {"truth": len(truth), "ignored": len(ignored)}


def settings(net: Stage) -> dict[str, Any]:
    """The values of config.py that the samples depend on."""
    return {**st.of_config("CROP_SIDE", "CROP_SHIFT", "MIN_TRUTH_SIZE", "NEAR_NEGATIVE_TRIES", "NEGATIVE_IOU",
                           "NEGATIVE_ROUNDS", "NEGATIVES_PER_IMAGE", "POSITIVE_IOU", "POSITIVE_TRIES", "KINDS",
                           "HEADS"),
            **st.of_stage(net, "size", "part_iou")}


def main(args: argparse.Namespace) -> None:
    """Writes the lists of P-Net, unless they are done."""
    annotated, fingerprints = sets.training(args.data)
    run = step.Step(args.work / "12", "12net", fingerprints, {"seed": args.seed}, settings(PNET), args.force)
    report = run.finished()
    if report is None:
        report = lists.write(run, Sampler(args.data, args.seed), annotated, KINDS, args.workers, args.data)
    lists.announce(report, KINDS, run.folder)


if __name__ == "__main__":
    step.run(main, step.parser(__doc__, *step.EVERY))
