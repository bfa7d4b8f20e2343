"""How many faces survive each net: recall after P-Net (12), after R-Net too (24), after the whole cascade (48).

reads    the WIDER FACE val images and annotations below <data>, or those that --annotations and --images name, or with
         --set the images of one of your own sets in <data>/sets (preprocess/labels/sets.py);
         <model>/pnet.npz, rnet.npz, onet.npz up to the size asked for
writes   a table per net, and the same numbers to --json FILE

Recall is the share of the true faces (valid, at least --min-truth px on the shorter side) for which some box reaches
the IoU. No later net can find a face that an earlier one has lost, so improve the first net with a low recall.
"""
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import CASCADE, LOW_RECALL, MIN_FACE_SIZE, MIN_MEASURED_SIZE, STAGES
from detection import UserError, images
from detection import boxes as bx
from pipeline import step, workers
from pipeline.problems import Problems
from preprocess import labels, partial_cascade
from preprocess.labels import sets
from preprocess.labels import wider as wider_lists

IOUS = (0.5, 0.65, 0.75)
SIZES = (0, 20, 40, 80, 160, np.inf)        # px of the shorter side: bounds of the table's rows


@dataclass(frozen=True)
class Measure:
    """One image -> for each net (sizes (M,), best IoU (M,), number of boxes), or the reason why it cannot be read."""
    data: Path
    cascade: tuple
    min_truth: float

    def __call__(self, image):
        try:
            pixels = images.read(self.data / image.path)
        except UserError as error:
            return str(error)
        sizes = bx.shorter_side(image.boxes)
        counted = ~image.invalid & (sizes >= self.min_truth)
        truth, sizes = image.boxes[counted], sizes[counted]
        return [(sizes, bx.iou(truth, found.boxes).max(axis=1, initial=0), len(found))
                for found in partial_cascade.detector(*self.cascade).trace(pixels)]


def table(sizes: np.ndarray, best: np.ndarray, boxes: Sequence[int]) -> dict:
    """sizes, best IoU (M,) of all faces, numbers of boxes (images,) -> rows of numbers, one per range of sizes."""
    rows = []
    for low, high in [(SIZES[0], SIZES[-1]), *zip(SIZES, SIZES[1:])]:
        inside = (sizes >= low) & (sizes < high)
        if inside.any():
            rows.append({"from": float(low), "to": None if high == np.inf else float(high), "faces": int(inside.sum()),
                         "recall": {str(at): float((best[inside] >= at).mean()) for at in IOUS}})
    return {"boxes_per_image": float(np.mean(boxes)), "rows": rows}


def show(name: str, result: dict) -> None:
    """Prints the table of a net."""
    print(f"\nafter {name}: {result['boxes_per_image']:.1f} boxes per image")
    print(f"{'face size, px':>14} {'faces':>6} " + " ".join(f"IoU {at:<5}" for at in IOUS))
    for i, row in enumerate(result["rows"]):
        size = "all" if i == 0 else f"{row['from']:.0f} and more" if row["to"] is None else \
            f"{row['from']:.0f} to {row['to']:.0f}"
        print(f"{size:>14} {row['faces']:>6} " + " ".join(f"{value:<9.3f}" for value in row["recall"].values()))


def advise(results: dict) -> None:
    """Prints which net loses too many faces, and what helps."""
    before = 1.0
    for stage, result in zip(CASCADE, results.values()):
        recall = result["rows"][0]["recall"]["0.5"]
        if recall < LOW_RECALL * before:
            print(f"\n{stage.name} is where faces are lost: recall falls from {before:.3f} to {recall:.3f}. Lower its "
                  f"threshold (--thresholds) to see whether it ranks them low or misses them; train it longer; give "
                  + ("it more positives of the sizes that the table shows as weak." if stage is CASCADE[0] else
                     "it harder examples: mine again, with lower thresholds, now that the nets before it are better."))
            return
        before = recall
    print("\nno net loses more than a tenth of the faces that reach it")


def main(args):
    cascade = partial_cascade.options(args, "threshold")
    if args.set:
        source = args.data / sets.SETS / args.set
        annotated = sets.read_set(args.data, source)[::args.every]
    else:
        source = args.annotations or labels.find(args.data, *wider_lists.VAL_LISTS)
        annotated = wider_lists.read(source, args.images, args.data)[::args.every]
    print(f"{source}:\n{labels.summary(annotated, args.min_truth)}")
    measure = Measure(args.data, cascade, args.min_truth)
    measured, problems = [], Problems()
    for result in workers.run(measure, annotated, args.workers, "evaluate", [1] * len(annotated), "image"):
        measured.append(result) if isinstance(result, list) else problems.add(result)
    problems.report(len(annotated), "images", source)
    results = {}
    for stage, of_images in zip(CASCADE, zip(*measured)):
        sizes, best, boxes = zip(*of_images)
        results[stage.name] = table(np.concatenate(sizes), np.concatenate(best), boxes)
        if not results[stage.name]["rows"]:
            raise UserError(f"{source}: it has no valid face of {args.min_truth:g} px or more; lower --min-truth")
        show(stage.name, results[stage.name])
    advise(results)
    if args.json:
        step.write_json(args.json, results)


if __name__ == "__main__":
    arguments = step.parser(__doc__, "workers")
    arguments.add_argument("size", type=int, choices=STAGES, help="input size of the last net to run, px")
    group = arguments.add_argument_group("measuring")
    which = group.add_mutually_exclusive_group()
    which.add_argument("--annotations", type=Path, metavar="FILE", help="instead of WIDER FACE val's, in either form")
    which.add_argument("--set", metavar="NAME", help=f"the images of <data>/{sets.SETS}/NAME, in any form")
    group.add_argument("--images", default=wider_lists.VAL_IMAGES, metavar="FOLDER",
                       help=f"of the images, below <data> (default: {wider_lists.VAL_IMAGES})")
    partial_cascade.add_arguments(group, "threshold", MIN_FACE_SIZE)
    group.add_argument("--min-truth", type=float, default=MIN_MEASURED_SIZE, metavar="PX",
                       help=f"smallest true face counted, shorter side (default: {MIN_MEASURED_SIZE})")
    group.add_argument("--every", type=step.positive, default=1, metavar="N", help="only every N-th image (default: 1)")
    group.add_argument("--json", type=Path, metavar="FILE", help="the same numbers as JSON")
    step.run(main, arguments, {"set": ("images",)})
