"""Steps 6 and 10: the cascade so far mines the hard examples of the next net (12 mines for 24, 24 for 48).

reads    the photos and annotations below <data>, as step 1 does;
         <model>/pnet.npz, and for 24 also <model>/rnet.npz
writes   <work>/<next size>/positive.txt, part.txt, negative.txt and the manifest mined.json
expect   from all 12,880 photos 140 k positives and more for R-Net, 190 k and more for O-Net

Every box that the nets give at a low threshold is looked at as the next net will see it: made square, on whole pixels,
padded where it leaves the photo. To these come crops drawn around every face as in step 1, half of them turned, so that
R-Net and O-Net learn from the faces that are lost, too. Where TensorFlow finds a GPU, the nets run there.

The report tells the share of the faces that a box still covers. A face that is lost here is lost for every later net,
so a low recall is to be mended before going on (`python evaluate/recall.py`).
"""
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import (CASCADE, DRAWN_CROPS, DRAWN_ROTATION, DRAWN_TRIES, LOW_RECALL, MIN_TRUTH_SIZE,  # noqa: E402
                    MINED_NEGATIVES, MINED_NEGATIVES_PER_PHOTO, MINING_MIN_FACE, NEGATIVE, PART, POSITIVE, STAGES, Stage)
from detection import UserError, boxes as bx, images  # noqa: E402
from preprocess.labels import annotations, sets  # noqa: E402
from preprocess import partial_cascade, lists, samples  # noqa: E402
from pipeline import settings as st, step  # noqa: E402
from preprocess.gen_12net_data import around  # noqa: E402

KINDS = ("positive", "part", "negative")
RECALL_AT = (0.5, 0.65)


@dataclass(frozen=True)
class Draw:
    """Mines one photo, keeping at most `negatives` of it, and draws `tries` crops around each of its faces. A photo
    whose labels are not complete is only drawn from: what the nets find beside its labels may be a face."""
    data: Path
    cascade: tuple
    size: int
    negatives: int
    tries: int
    seed: int

    def __call__(self, photo):
        image = images.read(self.data / photo.path)
        annotations.require_inside(photo, image.shape[1], image.shape[0])
        truth, ignored = annotations.split(photo, MIN_TRUTH_SIZE)
        drawn = self._drawn(photo.path, truth, ignored)
        if not photo.complete:
            return drawn, {"only drawn": 1}
        found = partial_cascade.detector(*self.cascade).detect(image)      # best first
        crops = bx.windows(found.boxes)
        labels, faces = samples.label(crops, truth, ignored, STAGES[self.size].part_iou)
        wanted = labels != samples.NO_LABEL
        wanted[np.nonzero(labels == NEGATIVE)[0][self.negatives:]] = False
        best = bx.iou(truth, found.boxes).max(axis=1, initial=0)  # (M,)
        counts = {"truth": len(truth), "proposals": len(found), "mined": 1,
                  **{f"recalled at IoU {at}": int((best >= at).sum()) for at in RECALL_AT}}
        return samples.box_lines(photo.path, crops[wanted], labels[wanted], faces[wanted]) + drawn, counts

    def _drawn(self, path, truth, ignored):
        """Lines of positives and parts around each face, found by the cascade or not, half of them turned."""
        rng = samples.rng(f"mined{self.size}", path, self.seed)
        crops = np.concatenate([around(rng, face, self.tries) for face in truth] or [bx.empty(0, 4)])
        turned = rng.random(len(crops)) < 0.5
        rotations = np.where(turned, np.round(rng.uniform(-DRAWN_ROTATION, DRAWN_ROTATION, len(crops)), 1), 0)
        labels, faces = samples.label(crops, truth, ignored, STAGES[self.size].part_iou)
        wanted = np.isin(labels, (POSITIVE, PART))
        return samples.box_lines(path, crops[wanted], labels[wanted], faces[wanted], rotations[wanted])


def settings(nets: Sequence[Stage], following: Stage) -> dict:
    """The values of config.py that the samples depend on, which these nets mine for the following one."""
    result = st.of_config(
        "CROP_SIDE", "CROP_SHIFT", "MIN_TRUTH_SIZE", "NEGATIVE_IOU", "POSITIVE_IOU", "DRAWN_CROPS", "DRAWN_TRIES",
        "DRAWN_ROTATION", "MINED_NEGATIVES", "MINED_NEGATIVES_PER_PHOTO", "KINDS", "HEADS", "PYRAMID_FACTOR",
        "PNET_STRIDE", "LEVEL_NMS", "PIXEL_MEAN", "PIXEL_SCALE", "CANVAS_STRIP", "NET_PIXELS", "CROPS")
    for net in nets:
        result.update(st.of_stage(net, "size", "layers", "nms"))
    return {**result, **st.of_stage(following, "size", "part_iou")}


def main(args):
    cascade = partial_cascade.options(args, "mining_threshold")
    _, min_face, thresholds, stages = cascade
    following = CASCADE[stages]
    photos, fingerprints = sets.training(args.data)
    nets = [args.model / f"{stage.name}.npz" for stage in CASCADE[:stages]]
    options = {"thresholds": thresholds, "min_face": min_face, "seed": args.seed}
    run = step.Step(args.work / str(following.size), "mined", {**step.digests(nets), **fingerprints}, options,
                    settings(CASCADE[:stages], following), args.force)
    report = run.finished()
    if report is None:
        draw = Draw(args.data, cascade, following.size, negatives_per_photo(photos), tries_per_face(photos), args.seed)
        report = lists.write(run, draw, photos, KINDS, args.workers, args.data)
    lists.announce(report, KINDS, run.folder)
    tell_recall(report, args)


def negatives_per_photo(photos):
    """Photos -> negatives to keep of each: R-Net and O-Net must see many mistakes, also where there are few photos."""
    return share(MINED_NEGATIVES, sum(photo.complete for photo in photos), MINED_NEGATIVES_PER_PHOTO)


def tries_per_face(photos):
    """Photos -> crops to draw around each face: few faces, drawn more often, are known by heart later."""
    return share(DRAWN_CROPS, sum(len(annotations.split(photo, MIN_TRUTH_SIZE)[0]) for photo in photos), DRAWN_TRIES)


def share(total, number, bounds):
    """What each of `number` gives to `total`, rounded up, within the bounds (least, most)."""
    least, most = bounds
    return min(max(-(-total // max(number, 1)), least), most)


def tell_recall(report, args):
    """Prints proposals a photo and the recall, with advice where it is low."""
    if not report.get("mined"):
        raise UserError(f"{args.data}: no photo has complete labels, so no background can be mined; add some that have")
    truth = max(report["truth"], 1)
    recall = {at: report[f"recalled at IoU {at}"] / truth for at in RECALL_AT}
    print(f"{report['proposals'] / report['mined']:.0f} proposals a photo; of {report['truth']:,} faces of "
          f"{MIN_TRUTH_SIZE} px and more, " + ", ".join(f"{r:.1%} recalled at IoU {at}" for at, r in recall.items()))
    if recall[0.5] < LOW_RECALL:
        print(f"warning: that is low; what is lost here no later net can find. Train {STAGES[args.size].name} longer, "
              f"or mine with lower --thresholds, and see `python evaluate/recall.py {args.size}`")


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=[stage.size for stage in CASCADE[:-1]],
                           help="of the net that mines, px")
    partial_cascade.add_arguments(arguments.add_argument_group("mining"), "mining_threshold", MINING_MIN_FACE)
    step.run(main, arguments)
