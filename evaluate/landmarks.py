"""The error of the landmarks, as a share of the distance between the eyes, and the number of missed faces.

reads    testImageList.txt and its images below <data>; with --mtfl testing.txt and its 2,995 images of AFLW, from
         MTFL.zip; <model>/pnet.npz, rnet.npz, onet.npz. With --results no image and no weights
writes   <out>/cumulative_error.png, or cumulative_error_mtfl.png; a table, and the same numbers to --json FILE

A face is found when a box holds the mean of its true points; of several boxes the one with the highest score counts.
The error of a face is the mean distance between the points found and the true ones, divided by the true distance from
the center of the left eye to that of the right eye; where config.py names other points, from the first to the second.
Mean and shares are of the found faces; the curve is of all faces.
"""
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import FACIAL_POINTS, ONET, POINTS
from detection import Faces, UserError
from evaluate import benchmark, metrics
from pipeline import plots, step
from pipeline.problems import Problems
from preprocess import labels
from preprocess.labels import landmarks as landmark_lists

UNIT = f"distance between {'the eyes' if POINTS == FACIAL_POINTS else ' and '.join(POINTS[:2])}"
FAILURE = 0.1       # of that distance: a larger error is a failure, as the literature counts
CURVE_END = 0.25    # likewise: where the curve ends


def found_in(images: Sequence, source: Path, args: Namespace) -> list[Faces]:
    """The Faces of each image, from --results or the detector."""
    if not args.results:
        cascade = benchmark.options(args)
        return list(benchmark.detect(args.data, [image.path for image in images], cascade, args.workers, source))
    faces, problems = benchmark.read_faces(args.results), Problems()
    for image in images:
        if image.path not in faces:
            problems.add(f"{args.results}: {image.path} is not in it; its face counts as missed")
    problems.report(len(images), "images", args.results)
    return [faces.get(image.path, Faces()) for image in images]


def score(truth: np.ndarray, found: Sequence[Faces]) -> tuple[dict, np.ndarray]:
    """True points (N, P, 2), Faces of each image -> numbers, errors (K,) of the found faces."""
    which = [metrics.detection_of(points, faces.boxes, faces.scores) for points, faces in zip(truth, found)]
    hit = np.array(which) >= 0
    if not hit.any():
        raise UserError("no face was found; lower --thresholds or --min-face, and check the weights")
    if any(len(faces) > len(faces.landmarks) for faces in found):
        raise UserError("the faces have no landmarks: O-Net was trained without; name other weights")
    points = np.stack([faces.landmarks[i] for faces, i in zip(found, which) if i >= 0])
    errors = metrics.landmark_errors(points, truth[hit])                                       # (K, P)
    mean = errors.mean(axis=1)
    return {"faces": len(truth), "missed": int((~hit).sum()), "mean_error": float(mean.mean()),
            "median_error": float(np.median(mean)), f"over_{FAILURE}": float((mean > FAILURE).mean()),
            "points": dict(zip(POINTS, errors.mean(axis=0).tolist()))}, mean


def show(numbers: dict) -> None:
    """Prints the table."""
    print(f"{numbers['faces']:,} faces, {numbers['missed']:,} missed ({numbers['missed'] / numbers['faces']:.1%})\n\n"
          f"error, % of the {UNIT}\n{'mean':<20}{numbers['mean_error']:>7.2%}\n"
          f"{'median':<20}{numbers['median_error']:>7.2%}")
    for name, error in numbers["points"].items():
        print(f"{name:<20}{error:>7.2%}")
    print(f"{f'faces over {FAILURE:.0%}':<20}{numbers[f'over_{FAILURE}']:>7.1%}")


def main(args):
    step.require("matplotlib")
    if len(POINTS) < 2:
        raise UserError("config.py names one point; the error is measured by the distance between two")
    source = args.annotations or labels.find(
        args.data, landmark_lists.MTFL_LIST if args.mtfl else landmark_lists.TEST_LIST)
    images = (landmark_lists.read_mtfl if args.mtfl else landmark_lists.read)(source, args.data)
    truth = np.concatenate([image.points for image in images])
    for image, distance in zip(images, metrics.eye_distance(truth)):
        if distance == 0:
            raise UserError(f"{source}: {POINTS[0]} and {POINTS[1]} of {image.path} are at the same place; correct or "
                            "remove its line")
    numbers, errors = score(truth, found_in(images, source, args))
    print(f"\n{source}")
    show(numbers)
    plots.draw(args.out / f"cumulative_error{'_mtfl' * args.mtfl}.png", f"{len(POINTS)} points, {len(images):,} faces",
                (f"error / {UNIT}", 0, CURVE_END), ("share of all faces", 0, 1.02),
                {f"mean {numbers['mean_error']:.2%}, {numbers['missed']:,} missed":
                 metrics.cumulative(errors, len(images), CURVE_END)})
    if args.json:
        step.write_json(args.json, numbers)


if __name__ == "__main__":
    arguments = step.parser(__doc__, "workers")
    arguments.set_defaults(size=ONET.size)
    group = arguments.add_argument_group("measuring")
    group.add_argument("--mtfl", action="store_true", help="a list in MTFL's form, <data>/testing.txt")
    group.add_argument("--annotations", type=Path, metavar="FILE", help="instead of <data>/testImageList.txt")
    group.add_argument("--results", type=Path, metavar="FILE",
                       help="score these faces, the JSON of test.py, named as in the list; detect nothing")
    benchmark.add_arguments(group, "landmarks", "the curve")
    step.run(main, arguments, benchmark.ignored("workers"))
