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
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import CASCADE, LOW_RECALL, MIN_TRUTH_SIZE, MINED_NEGATIVES_PER_PHOTO, NEGATIVE, STAGES  # noqa: E402
from detection import boxes as bx, images  # noqa: E402
from preprocess import annotations, cascade_so_far, lists, samples, step  # noqa: E402

KINDS = ("positive", "part", "negative")
RECALL_AT = (0.5, 0.65)


@dataclass(frozen=True)
class Draw:
    """Mines one photo."""
    data: Path
    cascade: tuple

    def __call__(self, photo):
        image = images.read(self.data / photo.path)
        truth, ignored = annotations.split(photo, MIN_TRUTH_SIZE)
        found = cascade_so_far.detector(*self.cascade).detect(image)     # best first
        crops = bx.windows(found.boxes)
        labels, faces = samples.label(crops, truth, ignored)
        wanted = labels != samples.NO_LABEL
        wanted[np.nonzero(labels == NEGATIVE)[0][MINED_NEGATIVES_PER_PHOTO:]] = False
        best = bx.iou(truth, found.boxes).max(axis=1, initial=0)  # (M,)
        counts = {"truth": len(truth), "proposals": len(found),
                  **{f"recalled at IoU {at}": int((best >= at).sum()) for at in RECALL_AT}}
        return samples.box_lines(photo.path, crops[wanted], labels[wanted], faces[wanted]), counts


def main(args):
    cascade = cascade_so_far.options(args, "mining_threshold")
    _, min_face, thresholds, stages = cascade
    following = CASCADE[stages]
    source = annotations.find(args.data, *annotations.WIDER_TRAIN)
    nets = [args.model / f"{stage.name}.npz" for stage in CASCADE[:stages]]
    options = {"thresholds": thresholds, "min_face": min_face}
    run = step.Step(args.work / str(following.size), "mined", [source, *nets], options, args.force)
    report = run.finished()
    if report is None:
        photos = annotations.read_wider(source, annotations.WIDER_TRAIN_IMAGES)
        print(f"{source}: {annotations.summary(photos, MIN_TRUTH_SIZE)}")
        report = lists.write(run, Draw(args.data, cascade), photos, KINDS, args.workers, source)
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
    cascade_so_far.add_arguments(arguments.add_argument_group("mining"), "mining_threshold", MIN_TRUTH_SIZE)
    step.run(main, arguments)
