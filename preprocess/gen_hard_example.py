"""Steps 6 and 10: the cascade so far mines the hard examples of the next net (12 mines for 24, 24 for 48).

reads    the WIDER FACE train photos and annotations below <data> (as step 1 does);
         <model>/pnet.npz, and for 24 also <model>/rnet.npz
writes   <work>/<next size>/positive.txt, part.txt, negative.txt and the manifest mined.json
expect   from all 12,880 photos 140 k positives and more for R-Net, 190 k and more for O-Net

Every box that the nets give at a low threshold is looked at as the next net will see it: made square, on whole pixels,
padded where it leaves the photo. The report tells the share of the faces that a box still covers; a face that is lost
here is lost for every later net, so a low recall is to be mended before going on (`python train/evaluate.py`).
"""
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import (CASCADE, LOW_RECALL, MIN_TRUTH_SIZE, MINED_NEGATIVES_PER_PHOTO, NEGATIVE,  # noqa: E402
                    PYRAMID_FACTOR, STAGES)
from detection import Detector, UserError, boxes as bx, images  # noqa: E402
from preprocess import annotations, lists, samples, step  # noqa: E402

KINDS = ("positive", "part", "negative")
RECALL_AT = (0.5, 0.65)


@dataclass
class Draw:
    """Mines one photo. The detector is made at the first photo, once in each process."""
    data: Path
    model: Path
    stages: int
    min_face: float
    thresholds: list
    detector: Detector = field(default=None, init=False)

    def __call__(self, photo):
        if self.detector is None:
            self.detector = Detector(self.model, self.min_face, self.thresholds, PYRAMID_FACTOR, self.stages)
        image = images.read(self.data / photo.path)
        truth, ignored = annotations.split(photo, MIN_TRUTH_SIZE)
        found = self.detector.detect(image)                       # best first
        crops = bx.windows(found.boxes)
        labels, faces = samples.label(crops, truth, ignored)
        wanted = labels != samples.NO_LABEL
        wanted[np.nonzero(labels == NEGATIVE)[0][MINED_NEGATIVES_PER_PHOTO:]] = False
        best = bx.iou(truth, found.boxes).max(axis=1, initial=0)  # (M,)
        counts = {"truth": len(truth), "proposals": len(found),
                  **{f"recalled at IoU {at}": int((best >= at).sum()) for at in RECALL_AT}}
        return samples.box_lines(photo.path, crops[wanted], labels[wanted], faces[wanted]), counts


def main(args):
    stages = [stage.size for stage in CASCADE].index(args.size) + 1
    following = CASCADE[stages]
    thresholds = args.thresholds or [stage.mining_threshold for stage in CASCADE[:stages]]
    if len(thresholds) != stages:
        raise UserError(f"--thresholds takes {stages} numbers here, one a net that mines, not {len(thresholds)}")
    source = annotations.find(args.data, *annotations.WIDER_TRAIN)
    nets = [args.model / f"{stage.name}.npz" for stage in CASCADE[:stages]]
    Detector(args.model, args.min_face, thresholds, stages=stages)      # a missing or wrong file is told before the work
    options = {"thresholds": thresholds, "min_face": args.min_face}
    run = step.Step(args.work / str(following.size), "mined", [source, *nets], options, args.force)
    report = run.finished()
    if report is None:
        photos = annotations.read_wider(source, annotations.WIDER_TRAIN_IMAGES)
        print(f"{source}: {annotations.summary(photos, MIN_TRUTH_SIZE)}")
        draw = Draw(args.data, args.model, stages, args.min_face, thresholds)
        report = lists.write(run, draw, photos, KINDS, args.workers, source)
    lists.announce(report, KINDS, run.folder)
    tell_recall(report, args)


def tell_recall(report, args):
    """Prints proposals a photo and the recall, with advice where it is low."""
    truth = max(report["truth"], 1)
    recall = {at: report[f"recalled at IoU {at}"] / truth for at in RECALL_AT}
    print(f"{report['proposals'] / report['photos']:.0f} proposals a photo; of {report['truth']:,} faces of "
          f"{MIN_TRUTH_SIZE} px and more, " + ", ".join(f"{r:.1%} recalled at IoU {at}" for at, r in recall.items()))
    if recall[0.5] < LOW_RECALL:
        print(f"warning: that is low; what is lost here no later net can find. Train {STAGES[args.size].name} longer, "
              f"or mine with lower --thresholds, and see `python train/evaluate.py {args.size}`")


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=[stage.size for stage in CASCADE[:-1]],
                           help="of the net that mines, px")
    group = arguments.add_argument_group("mining")
    group.add_argument("--thresholds", type=float, nargs="+", metavar="T",
                       help="of the face score of each net that mines (default: 0.3 for P-Net, 0.1 for R-Net)")
    group.add_argument("--min-face", type=float, default=MIN_TRUTH_SIZE, metavar="PX",
                       help=f"smallest face looked for (default: {MIN_TRUTH_SIZE})")
    step.run(main, arguments)
