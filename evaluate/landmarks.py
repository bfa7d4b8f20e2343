"""The error of the points, as a share of the distance between the eyes, and how many faces were missed.

reads    testImageList.txt and its photos below <data>; with --mtfl testing.txt and its 2,995 photos of AFLW, from
         MTFL.zip; <model>/pnet.npz, rnet.npz, onet.npz. With --results no photo and no weights
writes   <out>/cumulative_error.png, or cumulative_error_mtfl.png; a table, and the same numbers to --json FILE

A face is found when a box holds the mean of its true points; of several that of the highest score counts. Its
error is the mean distance of the points found to the true ones, divided by the true distance from the left eye's centre
to the right one's; where config.py names other points, from the first to the second. Mean and shares are of the found
faces; the curve is of all.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import FACIAL_POINTS, ONET, POINTS  # noqa: E402
from detection import Faces, UserError  # noqa: E402
from pipeline.problems import Problems  # noqa: E402
from preprocess import labels  # noqa: E402
from preprocess.labels import landmarks as landmark_lists  # noqa: E402
from pipeline import step  # noqa: E402
from evaluate import benchmark, metrics  # noqa: E402
from pipeline import plots  # noqa: E402

UNIT = f"distance between {'the eyes' if POINTS == FACIAL_POINTS else ' and '.join(POINTS[:2])}"
FAILURE = 0.1       # of that distance: a larger error is a failure, as the literature counts
CURVE_END = 0.25    # likewise: where the curve ends


def found_in(photos, source, args):
    """The Faces of each photo, from --results or the detector."""
    if not args.results:
        cascade = benchmark.options(args)
        return list(benchmark.detect(args.data, [photo.path for photo in photos], cascade, args.workers, source))
    faces, problems = benchmark.read_faces(args.results), Problems()
    for photo in photos:
        if photo.path not in faces:
            problems.add(f"{args.results}: {photo.path} is not in it; its face counts as missed")
    problems.report(len(photos), "photos", args.results)
    return [faces.get(photo.path, Faces()) for photo in photos]


def score(truth, found):
    """True points (N, P, 2), Faces of each photo -> numbers, errors (K,) of the found faces."""
    which = [metrics.detection_of(points, faces.boxes, faces.scores) for points, faces in zip(truth, found)]
    hit = np.array(which) >= 0
    if not hit.any():
        raise UserError("not one face was found; lower --thresholds or --min-face, and check the weights")
    points = np.stack([faces.landmarks[i] for faces, i in zip(found, which) if i >= 0])
    errors = metrics.landmark_errors(points, truth[hit])                                       # (K, P)
    mean = errors.mean(axis=1)
    return {"faces": len(truth), "missed": int((~hit).sum()), "mean_error": float(mean.mean()),
            "median_error": float(np.median(mean)), f"over_{FAILURE}": float((mean > FAILURE).mean()),
            "points": dict(zip(POINTS, errors.mean(axis=0).tolist()))}, mean


def show(numbers):
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
    photos = (landmark_lists.read_mtfl if args.mtfl else landmark_lists.read)(source)
    truth = np.concatenate([photo.points for photo in photos])
    for photo, distance in zip(photos, metrics.eye_distance(truth)):
        if distance == 0:
            raise UserError(f"{source}: {POINTS[0]} and {POINTS[1]} of {photo.path} are at the same place; correct or "
                            "remove its line")
    numbers, errors = score(truth, found_in(photos, source, args))
    print(f"\n{source}")
    show(numbers)
    plots.draw(args.out / f"cumulative_error{'_mtfl' * args.mtfl}.png", f"{len(POINTS)} points, {len(photos):,} faces",
                (f"error / {UNIT}", 0, CURVE_END), ("share of all faces", 0, 1.02),
                {f"mean {numbers['mean_error']:.2%}, {numbers['missed']:,} missed":
                 metrics.cumulative(errors, len(photos), CURVE_END)})
    if args.json:
        step.write_json(args.json, numbers)


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.set_defaults(size=ONET.size)
    group = arguments.add_argument_group("measuring")
    group.add_argument("--mtfl", action="store_true", help="a list in MTFL's form, <data>/testing.txt")
    group.add_argument("--annotations", type=Path, metavar="FILE", help="instead of <data>/testImageList.txt")
    group.add_argument("--results", type=Path, metavar="FILE",
                       help="score these faces, the JSON of test.py, named as in the list; detect nothing")
    benchmark.add_arguments(group, "landmarks", "the curve")
    step.run(main, arguments)
