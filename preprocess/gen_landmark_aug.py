"""Steps 2, 7 and 11: crops of faces with known points -> landmark samples for the net of this size.

reads    <data>/trainImageList.txt and the photos that it names, in <data>/lfw_5590 and <data>/net_7876
writes   <work>/<size>/landmark.txt and the manifest landmark<size>.json
expect   about 18 samples a photo whose face has 40 px or more
"""
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import LANDMARK, LANDMARK_MIN_FACE, LANDMARK_TRIES, POINTS, POSITIVE_IOU, ROTATION, STAGES  # noqa: E402
from detection import boxes as bx  # noqa: E402
from detection import images  # noqa: E402
from preprocess.labels import annotations  # noqa: E402
from preprocess import lists, samples  # noqa: E402
from pipeline import settings as st, step  # noqa: E402
from preprocess.gen_12net_data import around, pushed_in  # noqa: E402


@dataclass(frozen=True)
class Draw:
    """Draws the samples of one photo."""
    data: Path
    size: int
    seed: int

    def __call__(self, photo):
        height, width = images.read(self.data / photo.path).shape[:2]
        annotations.require_inside(photo, width, height)
        rng = samples.rng(f"landmark{self.size}", photo.path, self.seed)
        lines = []
        for face, points in zip(photo.boxes, photo.points):
            crops = np.round(face)[None].astype(np.float32)
            if bx.longer_side(face[None])[0] >= LANDMARK_MIN_FACE:
                tries = pushed_in(around(rng, face, LANDMARK_TRIES), width, height)
                crops = np.concatenate([crops, tries[bx.iou(tries, face[None])[:, 0] > POSITIVE_IOU]])
            for crop in crops:
                lines += variants(rng, photo.path, crop, points)
        return lines, {"faces": len(photo.boxes)}


def variants(rng, photo, crop, points):
    """Lines of one crop (4,) and its points (P, 2): as it is and, by a coin flip each, mirrored, turned one way, turned
    the other way, and the turned ones also mirrored. A variant with a point outside the crop is left out."""
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
            lines += samples.lines(photo, crop[None], [LANDMARK], bx.empty(1, 4), relative, mirrored, [degrees])
    return lines


def settings() -> dict:
    """The values of config.py that the samples depend on."""
    return st.of_config("CROP_SIDE", "CROP_SHIFT", "KINDS", "LANDMARK_MIN_FACE", "LANDMARK_TRIES", "MIRROR_ORDER",
                        "POINTS", "POSITIVE_IOU", "ROTATION")


def main(args):
    source = annotations.find(args.data, annotations.LANDMARK_TRAIN)
    run = step.Step(args.work / str(args.size), f"landmark{args.size}", step.digests([source]), {"seed": args.seed},
                    settings(), args.force)
    report = run.finished()
    if report is None:
        photos = annotations.read_landmarks(source)
        print(f"{source}: {len(photos)} photos with one face and {len(POINTS)} points")
        report = lists.write(run, Draw(args.data, args.size, args.seed), photos, ["landmark"], args.workers, source)
    lists.announce(report, ["landmark"], run.folder)


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=STAGES, help="of the net, px")
    step.run(main, arguments)
