"""Steps 2, 7 and 11: crops of faces with known points -> landmark samples for the net of this size.

reads    <data>/trainImageList.txt and the images that it names, in <data>/lfw_5590 and <data>/net_7876
writes   <work>/<size>/landmark.txt and the manifest landmark<size>.json
expect   about 18 samples per image whose face has 40 px or more
"""
import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import LANDMARK, LANDMARK_MIN_FACE, LANDMARK_TRIES, POINTS, POSITIVE_IOU, ROTATION, STAGES
from detection import boxes as bx
from detection import images
from pipeline import settings as st
from pipeline import step
from preprocess import crops, labels, lists, samples
from preprocess.labels import AnnotatedImage, landmarks


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
        for face, points in zip(image.boxes, image.points):
            chosen = np.round(face)[None].astype(np.float32)
            if bx.longer_side(face[None])[0] >= LANDMARK_MIN_FACE:
                tries = crops.pushed_in(crops.around(rng, face, LANDMARK_TRIES), width, height)
                chosen = np.concatenate([chosen, tries[bx.iou(tries, face[None])[:, 0] > POSITIVE_IOU]])
            for crop in chosen:
                lines += variants(rng, image.path, crop, points)
        return lines, {"faces": len(image.boxes)}


def variants(rng: np.random.Generator, path: str, crop: np.ndarray, points: np.ndarray) -> list[str]:
    """Lines of one crop (4,) of an image and its points (P, 2), px: unchanged and, by a coin flip each, mirrored,
    turned one way, turned the other way, and the turned ones also mirrored. A variant with a point outside the crop is
    left out, and so are all where a point is missing (NaN)."""
    flips = rng.random(5) < 0.5
    wanted = {(0.0, False): True, (0.0, True): flips[0],
              (ROTATION, False): flips[1], (ROTATION, True): flips[1] & flips[2],
              (-ROTATION, False): flips[3], (-ROTATION, True): flips[3] & flips[4]}
    lines = []
    for degrees, mirrored in (variant for variant, take in wanted.items() if take):
        relative = bx.encode_points(images.rotate_points(points, crop, degrees)[None], crop[None])
        if mirrored:
            relative = relative @ bx.MIRROR_POINTS + bx.MIRROR_SHIFT
        if ((relative > 0) & (relative < 1)).all():
            lines += samples.lines(path, crop[None], [LANDMARK], bx.empty(1, 4), relative, mirrored, [degrees])
    return lines


def settings() -> dict[str, Any]:
    """The values of config.py that the samples depend on."""
    return st.of_config("CROP_SIDE", "CROP_SHIFT", "KINDS", "LANDMARK_MIN_FACE", "LANDMARK_TRIES", "MIRROR_ORDER",
                        "POINTS", "POSITIVE_IOU", "ROTATION")


def main(args: argparse.Namespace) -> None:
    """Writes the landmark list of one size, unless it is done."""
    source = labels.find(args.data, landmarks.TRAIN_LIST)
    run = step.Step(args.work / str(args.size), f"landmark{args.size}", step.digests([source]), {"seed": args.seed},
                    settings(), args.force)
    report = run.finished()
    if report is None:
        annotated = landmarks.read(source, args.data)
        print(f"{source}: {len(annotated)} images with one face and {len(POINTS)} points")
        sampler = Sampler(args.data, args.size, args.seed)
        report = lists.write(run, sampler, annotated, ["landmark"], args.workers, source)
    lists.announce(report, ["landmark"], run.folder)


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=STAGES, help="of the net, px")
    step.run(main, arguments)
