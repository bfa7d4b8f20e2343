"""Steps 6 and 10: the nets trained so far mine the hard examples of the next net (12 mines for 24, 24 for 48).

reads    the images and annotations below <data>, as step 1 does;
         <model>/pnet.npz, and for 24 also <model>/rnet.npz
writes   <work>/<next size>/positive.txt, part.txt, negative.txt and the manifest mined.json
expect   from all 12,880 images 140 k positives and more for R-Net, 190 k and more for O-Net

Every box that the nets give at a low threshold becomes the window that the next net will see: square, on whole pixels,
padded where it leaves the image. To these the step adds random crops around every face, as in step 1, half of them
rotated, so that R-Net and O-Net also learn from the faces that the nets miss. The nets run on a GPU where TensorFlow
finds one.

The report gives the share of the faces that some box still covers. A face that is missed here is missed by every later
net, so a low recall should be corrected before the next step (`python evaluate/recall.py`).
"""
import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import (
    CASCADE,
    LOW_RECALL,
    MIN_TRUTH_SIZE,
    MINED_NEGATIVES,
    MINED_NEGATIVES_PER_IMAGE,
    MINING_MIN_FACE,
    NEGATIVE,
    PART,
    POSITIVE,
    RANDOM_CROPS,
    RANDOM_CROPS_PER_FACE,
    RANDOM_ROTATION,
    STAGES,
    Stage,
)
from detection import UserError, images
from detection import boxes as bx
from pipeline import settings as st
from pipeline import step
from preprocess import crops, labels, lists, partial_cascade, samples
from preprocess.labels import AnnotatedImage, sets

KINDS = ("positive", "part", "negative")
RECALL_AT = (0.5, 0.65)     # IoU of a face and a box


@dataclass(frozen=True)
class Sampler:
    """Mines one image: image -> (lines, counts). UserError where it cannot be read or its faces lie outside.

    cascade: as partial_cascade.detector takes it. size: of the next net, px. negatives: to keep of an image at most.
    tries: random crops around each face. An image with incomplete labels gives only these: a box that the nets find
    beside its labels may be a face.
    """
    data: Path
    cascade: partial_cascade.Chosen
    size: int
    negatives: int
    tries: int
    seed: int

    def __call__(self, image: AnnotatedImage) -> tuple[list[str], dict[str, int]]:
        pixels = images.read(self.data / image.path)
        labels.require_inside(image, pixels.shape[1], pixels.shape[0])
        truth, ignored = labels.split(image, MIN_TRUTH_SIZE)
        random = self._random(image.path, truth, ignored)
        if not image.complete:
            return random, {"not mined": 1}
        found = partial_cascade.detector(*self.cascade, mining=True).detect(pixels)      # best first
        windows = bx.windows(found.boxes)
        kinds, faces = samples.label(windows, truth, ignored, STAGES[self.size].part_iou)
        wanted = kinds != samples.AMBIGUOUS
        wanted[np.nonzero(kinds == NEGATIVE)[0][self.negatives:]] = False
        best = bx.iou(truth, found.boxes).max(axis=1, initial=0)  # (M,)
        counts = {"truth": len(truth), "proposals": len(found), "mined": 1,
                  **{f"recalled at IoU {at}": int((best >= at).sum()) for at in RECALL_AT}}
        return samples.box_lines(image.path, windows[wanted], kinds[wanted], faces[wanted]) + random, counts

    def _random(self, path, truth, ignored):
        """Lines of positives and parts around each face, whether the cascade found it or not; half are rotated."""
        rng = samples.rng(f"mined{self.size}", path, self.seed)
        tries = np.concatenate([crops.around(rng, face, self.tries) for face in truth] or [bx.empty(0, 4)])
        turned = rng.random(len(tries)) < 0.5
        rotations = np.where(turned, np.round(rng.uniform(-RANDOM_ROTATION, RANDOM_ROTATION, len(tries)), 1), 0)
        kinds, faces = samples.label(tries, truth, ignored, STAGES[self.size].part_iou)
        wanted = np.isin(kinds, (POSITIVE, PART))
        return samples.box_lines(path, tries[wanted], kinds[wanted], faces[wanted], rotations[wanted])


def settings(nets: Sequence[Stage], following: Stage) -> dict[str, Any]:
    """The values of config.py that the samples depend on, which these nets mine for the following one."""
    result = st.of_config(
        "CROP_SIDE", "CROP_SHIFT", "MIN_TRUTH_SIZE", "NEGATIVE_IOU", "POSITIVE_IOU", "RANDOM_CROPS",
        "RANDOM_CROPS_PER_FACE", "RANDOM_ROTATION", "MINED_NEGATIVES", "MINED_NEGATIVES_PER_IMAGE", "KINDS", "HEADS",
        "PYRAMID_FACTOR", "PNET_BORDER", "PNET_STRIDE", "LEVEL_NMS", "PIXEL_MEAN", "PIXEL_SCALE", "PYRAMID_STRIP",
        "NET_PIXELS", "CROPS")
    for net in nets:
        result.update(st.of_stage(net, "size", "layers", "heads", "nms", "overlap", "flip_pass"))
    return {**result, **st.of_stage(following, "size", "part_iou")}


def main(args: argparse.Namespace) -> None:
    """Writes the mined lists of the next net, unless they are done, and prints the recall."""
    cascade = partial_cascade.options(args, "mining_threshold")
    _, min_face, thresholds, stages, _ = cascade
    following = CASCADE[stages]
    annotated, fingerprints = sets.training(args.data)
    nets = [args.model / f"{stage.name}.npz" for stage in CASCADE[:stages]]
    options = {"thresholds": thresholds, "min_face": min_face, "seed": args.seed}
    run = step.Step(args.work / str(following.size), "mined", {**step.digests(nets), **fingerprints}, options,
                    settings(CASCADE[:stages], following), args.force)
    report = run.finished()
    if report is None:
        sampler = Sampler(args.data, cascade, following.size, negatives_per_image(annotated),
                          tries_per_face(annotated), args.seed)
        report = lists.write(run, sampler, annotated, KINDS, args.workers, args.data)
    lists.announce(report, KINDS, run.folder)
    report_recall(report, args)


def negatives_per_image(annotated: Sequence[AnnotatedImage]) -> int:
    """Images -> negatives to keep of each: R-Net and O-Net must see many mistakes, also where there are few images."""
    return share(MINED_NEGATIVES, sum(image.complete for image in annotated), MINED_NEGATIVES_PER_IMAGE)


def tries_per_face(annotated: Sequence[AnnotatedImage]) -> int:
    """Images -> random crops around each face: the fewer faces, the more of each, or the nets would memorize them."""
    faces = sum(len(labels.split(image, MIN_TRUTH_SIZE)[0]) for image in annotated)
    return share(RANDOM_CROPS, faces, RANDOM_CROPS_PER_FACE)


def share(total: int, number: int, bounds: tuple[int, int]) -> int:
    """What each of `number` gives to `total`, rounded up, within the bounds (least, most)."""
    least, most = bounds
    return min(max(-(-total // max(number, 1)), least), most)


def report_recall(report: dict[str, Any], args: argparse.Namespace) -> None:
    """Prints proposals per image and the recall, with advice where it is low. UserError where nothing was mined."""
    if not report.get("mined"):
        raise UserError(f"{args.data}: no image has complete labels, so no background can be mined; add images that do")
    truth = max(report["truth"], 1)
    recall = {at: report[f"recalled at IoU {at}"] / truth for at in RECALL_AT}
    print(f"{report['proposals'] / report['mined']:.0f} proposals per image; of {report['truth']:,} faces of "
          f"{MIN_TRUTH_SIZE} px and more, " + ", ".join(f"{r:.1%} recalled at IoU {at}" for at, r in recall.items()))
    if recall[0.5] < LOW_RECALL:
        print(f"warning: that is low, and no later net can find a face that is missed here. Train "
              f"{STAGES[args.size].name} longer, or mine with lower --thresholds, and see "
              f"`python evaluate/recall.py {args.size}`")


if __name__ == "__main__":
    arguments = step.parser(__doc__, *step.EVERY)
    arguments.add_argument("size", type=int, choices=[stage.size for stage in CASCADE[:-1]],
                           help="of the last net that mines, px")
    partial_cascade.add_arguments(arguments.add_argument_group("mining"), "mining_threshold", MINING_MIN_FACE)
    step.run(main, arguments)
