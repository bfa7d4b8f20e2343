"""Step 1: random crops of the WIDER FACE photos -> positive, part and negative samples for P-Net.

reads    <data>/wider_face_split/wider_face_train_bbx_gt.txt (or <data>/wider_face_train.txt, one photo a line)
         and the photos in <data>/WIDER_train/images; further sets of photos in <data>/sets (preprocess/labels/sets.py)
writes   <work>/12/positive.txt, part.txt, negative.txt and the manifest 12net.json
expect   from all 12,880 photos 0.8 M positives and more, 2.7 M parts, 2.8 M negatives
"""
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import (CROP_SHIFT, CROP_SIDE, MIN_TRUTH_SIZE, NEAR_NEGATIVE_TRIES, NEGATIVE, NEGATIVE_ROUNDS,  # noqa: E402
                    NEGATIVES_PER_PHOTO, PART, PNET, POSITIVE, POSITIVE_TRIES, Stage)
from detection import boxes as bx  # noqa: E402
from detection import images  # noqa: E402
from preprocess.labels import annotations, sets  # noqa: E402
from preprocess import lists, samples  # noqa: E402
from pipeline import settings as st, step  # noqa: E402

KINDS = ("positive", "part", "negative")


def squares(corner, side):
    """corner (N, 2), side (N,), px -> boxes (N, 4) on whole pixels."""
    corner, side = np.floor(corner), np.floor(side)[:, None]
    return np.hstack([corner, corner + side]).astype(np.float32)


def pushed_in(crops, width, height):
    """Crops (N, 4) moved by as little as puts them into the photo; those larger than the photo are left out."""
    crops = crops[((crops[:, 2:] - crops[:, :2]) <= (width, height)).all(axis=1)]
    beyond = np.maximum(crops[:, 2:] - (width, height), 0) + np.minimum(crops[:, :2], 0)     # (N, 2)
    return (crops - np.tile(beyond, 2)).astype(np.float32)


def draw_sides(rng, width, height, count):
    """Sides of negatives (N,): 12 px to half the photo's shorter side, each octave as often; 12 in a photo under 24 px.

    The ancestors draw all sides alike, which are mostly large ones, while P-Net meets mostly small windows.
    """
    largest = max(min(width, height) // 2, PNET.size)
    return np.floor(np.exp(rng.uniform(np.log(PNET.size), np.log(largest + 1), count))).astype(int)


def background(rng, width, height):
    """Crops anywhere in the photo (N, 4)."""
    if min(width, height) < PNET.size:
        return bx.empty(0, 4)
    sides = draw_sides(rng, width, height, NEGATIVES_PER_PHOTO)
    corner = rng.random((NEGATIVES_PER_PHOTO, 2)) * (np.array([width, height]) - sides[:, None] + 1)
    return squares(corner, sides)


def near(rng, face, width, height):
    """Crops that touch the face (4,), in the photo: (N, 4)."""
    sides = draw_sides(rng, width, height, NEAR_NEGATIVE_TRIES)
    low = np.maximum(-sides[:, None], -face[:2])                                       # (N, 2)
    corner = face[:2] + low + rng.random((len(sides), 2)) * (face[2:] - face[:2] - low)
    return pushed_in(squares(corner, sides), width, height)


def around(rng, face, tries):
    """Crops of about the face's (4,) place and size, which may leave the photo: (tries, 4)."""
    face_side = face[2:] - face[:2]
    low, high = int(CROP_SIDE[0] * face_side.min()), int(np.ceil(CROP_SIDE[1] * face_side.max()))
    sides = rng.integers(max(low, 1), max(high, 1), tries, endpoint=True)
    shift = rng.uniform(-CROP_SHIFT, CROP_SHIFT, (tries, 2)) * face_side
    return squares((face[:2] + face[2:]) / 2 + shift - sides[:, None] / 2, sides)


@dataclass(frozen=True)
class Draw:
    """Draws the samples of one photo."""
    data: Path
    seed: int

    def __call__(self, photo):
        height, width = images.read(self.data / photo.path).shape[:2]
        annotations.require_inside(photo, width, height)
        rng = samples.rng("12net", photo.path, self.seed)
        truth, ignored = annotations.split(photo, MIN_TRUTH_SIZE)

        def keep(crops, *wanted):
            return crops[np.isin(samples.label(crops, truth, ignored, PNET.part_iou)[0], wanted)]

        chosen = bx.empty(0, 4)
        for _ in range(NEGATIVE_ROUNDS if photo.complete else 0):
            found = keep(background(rng, width, height), NEGATIVE)
            chosen = np.concatenate([chosen, found])[:NEGATIVES_PER_PHOTO]
            if len(chosen) == NEGATIVES_PER_PHOTO:
                break
        chosen = [chosen]
        for face in truth:
            if photo.complete:
                chosen.append(keep(near(rng, face, width, height), NEGATIVE))
            tries = pushed_in(around(rng, face, POSITIVE_TRIES), width, height)
            chosen.append(keep(tries, POSITIVE, PART))
        crops = np.concatenate(chosen)
        labels, faces = samples.label(crops, truth, ignored, PNET.part_iou)
        return samples.box_lines(photo.path, crops, labels, faces), {"truth": len(truth), "ignored": len(ignored)}


def settings(net: Stage) -> dict:
    """The values of config.py that the samples depend on."""
    return {**st.of_config("CROP_SIDE", "CROP_SHIFT", "MIN_TRUTH_SIZE", "NEAR_NEGATIVE_TRIES", "NEGATIVE_IOU",
                           "NEGATIVE_ROUNDS", "NEGATIVES_PER_PHOTO", "POSITIVE_IOU", "POSITIVE_TRIES", "KINDS", "HEADS"),
            **st.of_stage(net, "size", "part_iou")}


def main(args):
    photos, fingerprints = sets.training(args.data)
    run = step.Step(args.work / "12", "12net", fingerprints, {"seed": args.seed}, settings(PNET), args.force)
    report = run.finished()
    if report is None:
        report = lists.write(run, Draw(args.data, args.seed), photos, KINDS, args.workers, args.data)
    lists.announce(report, KINDS, run.folder)


if __name__ == "__main__":
    step.run(main, step.parser(__doc__))
