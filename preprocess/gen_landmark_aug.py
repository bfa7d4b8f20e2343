"""Steps 2, 7 and 11: crops of faces with known points -> landmark samples for the net of this size.

reads    <data>/trainImageList.txt and the images that it names, in <data>/lfw_5590 and <data>/net_7876; the sets in
         <data>/sets whose labels have points (preprocess/labels/landmark_sets.py)
writes   <work>/<size>/landmark.txt and the manifest landmark<size>.json
expect   about 18 samples per image whose face has 40 px or more

--no-landmarks trains nets without landmarks: the manifest says so to the steps that follow, and no list is written.
"""
import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import LANDMARK, LANDMARK_MIN_FACE, LANDMARK_TRIES, POSITIVE_IOU, ROTATION, STAGES
from detection import boxes as bx
from detection import images
from detection.errors import UserError
from pipeline import settings as st
from pipeline import step
from preprocess import crops, labels, lists, samples
from preprocess.labels import AnnotatedImage, landmark_sets, landmarks, sets


@dataclass(frozen=True)
class Sampler:
    """Samples one image: image -> (lines, counts). UserError where it cannot be read or its faces lie outside."""
    data: Path
    size: int
    seed: int

    def __call__(self, image: AnnotatedImage) -> tuple[list[str], dict[str, int]]:
        height, width = images.read(self.data / image.path).shape[:2]
        labels.require_inside(image, width, height)
        rng = samples.rng(f"landmark{self.size}", image.path, self.seed)
        lines = []
        faces = bx.windows(image.boxes if image.points_box is None else bx.inner(image.boxes, *image.points_box))
        for face, points in zip(faces, image.points):
            chosen = face[None]
            if bx.longer_side(face[None])[0] >= LANDMARK_MIN_FACE:
                tries = crops.pushed_in(crops.around(rng, face, LANDMARK_TRIES), width, height)
                chosen = np.concatenate([chosen, tries[bx.iou(tries, face[None])[:, 0] > POSITIVE_IOU]])
            for crop in chosen:
                lines += variants(rng, image.path, crop, points)
        return lines, {"faces": len(image.boxes)}


def variants(rng: np.random.Generator, path: str, crop: np.ndarray, points: np.ndarray) -> list[str]:
    """Lines of one crop (4,) of an image and its points (P, 2), px: unchanged and, by a coin flip each, mirrored,
    turned one way, turned the other way, and the turned ones also mirrored. A variant with a point outside the crop is
    left out. A point that is not labeled (NaN) stays so; a face without any gives no line."""
    flips = rng.random(5) < 0.5
    wanted = {(0.0, False): True, (0.0, True): flips[0],
              (ROTATION, False): flips[1], (ROTATION, True): flips[1] & flips[2],
              (-ROTATION, False): flips[3], (-ROTATION, True): flips[3] & flips[4]}
    lines = []
    for degrees, mirrored in (variant for variant, take in wanted.items() if take):
        relative = bx.encode_points(images.rotate_points(points, crop, degrees)[None], crop[None])
        if mirrored:
            relative = bx.mirror_points(relative)
        labeled = relative[np.isfinite(relative)]
        if labeled.size and ((labeled > 0) & (labeled < 1)).all():
            lines += samples.lines(path, crop[None], [LANDMARK], bx.empty(1, 4), relative, mirrored, [degrees])
    return lines


def settings() -> dict[str, Any]:
    """The values of config.py that the samples depend on."""
    return st.of_config("CROP_SIDE", "CROP_SHIFT", "KINDS", "LANDMARK_MIN_FACE", "LANDMARK_TRIES", "MIRROR_ORDER",
                        "MIN_TRUTH_SIZE", "POINTS", "POINTS_BOX", "POSITIVE_IOU", "ROTATION")


def main(args: argparse.Namespace) -> None:
    """Writes the landmark list of one size, or that there is none, unless it is done."""
    name = samples.LANDMARK_MANIFEST.format(args.size)
    if args.no_landmarks:
        run = step.Step(args.work / str(args.size), name, {}, {"no_landmarks": True}, {}, args.force)
        if run.finished() is None:
            run.finish([], {"landmark": 0})
        print(f"{STAGES[args.size].name} is trained without landmarks, as --no-landmarks says; no list is written")
        return
    annotated, fingerprints = landmark_sets.training(args.data)
    if not annotated:
        raise UserError(f"{args.data}: holds no {landmarks.TRAIN_LIST} and no set in {sets.SETS}/ whose labels have "
                        "points; data/README.md says what to put where, and --no-landmarks trains without landmarks")
    run = step.Step(args.work / str(args.size), name, fingerprints, {"seed": args.seed}, settings(), args.force)
    report = run.finished()
    if report is None:
        sampler = Sampler(args.data, args.size, args.seed)
        report = lists.write(run, sampler, annotated, ["landmark"], args.workers, args.data)
    lists.announce(report, ["landmark"], run.folder)


if __name__ == "__main__":
    arguments = step.parser(__doc__, *step.EVERY)
    arguments.add_argument("size", type=int, choices=STAGES, help="of the net, px")
    arguments.add_argument("--no-landmarks", action="store_true",
                           help="train without landmarks; say it for each of the three sizes")
    step.run(main, arguments)
