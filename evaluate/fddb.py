"""Discrete and continuous ROC on FDDB: the rate of faces found against the number of false positives.

reads    the ten FDDB-fold-*-ellipseList.txt in <data>/FDDB/FDDB-folds; the images below <data>/FDDB/originalPics;
         <model>/pnet.npz, rnet.npz, onet.npz. With --results no weights, but the images for their sizes
writes   <out>/fold-*-out.txt, the detections in the official form; <out>/DiscROC.txt (rate, false positives, score) and
         ContROC.txt (rate, false positives), the official curves; <out>/roc.png; a table, and the same to --json FILE

Faces are ellipses, detections rectangles; no conversion brings them closer. Missing folds are left out. Where a curve
ends before a number of false positives, its rate is that at the end.
"""
import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import ONET
from detection import UserError, images
from evaluate import benchmark, metrics
from pipeline import plots, step, workers
from pipeline.problems import Problems
from preprocess import labels

AT = (100, 1000, 2000)      # false positives at which the rate is printed
MEASURES = {"discrete": 1, "continuous": 2}     # column of metrics.roc


@dataclass(frozen=True)
class Overlap:
    """One image (name, ellipses (M, 5), boxes (N, 4), scores (N,)) -> metrics.matched, or the reason why it cannot be
    read."""
    folder: Path

    def __call__(self, task):
        name, ellipses, boxes, scores = task
        try:
            height, width = images.read(self.folder / f"{name}.jpg").shape[:2]
        except UserError as error:
            return str(error)
        return metrics.matched(metrics.mask_iou(metrics.masks(ellipses, height, width),
                                                metrics.masks(boxes, height, width)), scores)


def check_ellipse(row: list[float]) -> None:
    """BadLabel where a radius is negative."""
    if min(row[:2]) < 0:
        raise labels.BadLabel(f"a radius of {min(row[:2]):g} px is negative")


def read_folds(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Folder of the lists -> {number of the fold: {image: ellipses (M, 5)}}."""
    form = "major_radius minor_radius angle x y 1"
    folds = {path.name.split("-")[2]: benchmark.read_entries(path, 6, form, check_ellipse)
             for path in sorted(folder.glob("FDDB-fold-*-ellipseList.txt"))}
    if not any(len(rows) for faces in folds.values() for rows in faces.values()):
        raise UserError(f"{folder}: no FDDB-fold-*-ellipseList.txt with faces is there; they come with FDDB-folds.tgz "
                        "of the benchmark's site, and --folds names another folder")
    return {fold: {name: rows[:, :5] for name, rows in faces.items()} for fold, faces in folds.items()}


def detect(folds: dict, args: Namespace) -> None:
    """Writes the official result file of each fold to <out>."""
    cascade = benchmark.options(args)
    names = [name for faces in folds.values() for name in faces]
    found = benchmark.detect(args.images, [f"{name}.jpg" for name in names], cascade, args.workers, args.images)
    texts = {name: benchmark.result_text(name, faces) for name, faces in zip(names, found, strict=True)}
    for fold, faces in folds.items():
        step.write_text(args.out / f"fold-{fold}-out.txt", "".join(texts[name] for name in faces))


def read(folds: dict, folder: Path) -> list[tuple]:
    """Result files of the folds -> [(image, ellipses, boxes, scores)]; UserError where one is not of this fold."""
    tasks = []
    for fold, faces in folds.items():
        path = folder / f"fold-{fold}-out.txt"
        results = benchmark.read_results(path)
        if set(results) != set(faces):
            name = next(iter(set(results) ^ set(faces)))
            raise UserError(f"{path}: {name} is {'no image of the fold' if name in results else 'missing'}; a result "
                            "file names exactly the images of its fold, also those without a detection")
        tasks += [(name, ellipses, *results[name]) for name, ellipses in faces.items()]
    return tasks


def write(curve: np.ndarray, out: Path) -> None:
    """Writes the official curve files, by rising score."""
    for name, columns in {"DiscROC.txt": [1, 3, 0], "ContROC.txt": [2, 3]}.items():
        step.write_text(out / name, "".join(" ".join(f"{v:.9g}" for v in row) + "\n"
                                            for row in curve[::-1, columns].tolist()))


def main(args):
    step.require("scipy", "matplotlib")
    args.images = args.images or args.data / "FDDB" / "originalPics"
    folds = read_folds(args.folds or args.data / "FDDB" / "FDDB-folds")
    if not args.results:
        detect(folds, args)
    tasks = read(folds, args.results or args.out)
    matches, problems = [], Problems()
    for result in workers.run(Overlap(args.images), tasks, args.workers, "match", [1] * len(tasks), "image"):
        problems.add(f"{result}; its faces count as missed") if isinstance(result, str) else matches.append(result)
    problems.report(len(tasks), "images", args.images)
    faces = sum(len(ellipses) for _, ellipses, _, _ in tasks)
    curve = metrics.roc(matches, faces)
    write(curve, args.out)
    rates = {name: {str(at): metrics.rate_at(curve, column, at) for at in AT} for name, column in MEASURES.items()}
    print(f"\n{len(folds)} of 10 folds, {len(tasks):,} images, {faces:,} faces, "
          f"{int(curve[:, 3].max(initial=0)):,} false positives at the end\n\n{'true positive rate at':<24}"
          + "".join(f"{at:>8,}" for at in AT))
    for name, row in rates.items():
        print(f"{name:<24}" + "".join(f"{rate:>8.3f}" for rate in row.values()))
    plots.draw(args.out / "roc.png", f"FDDB, {faces:,} faces", ("false positives", 0, max(AT)),
                ("true positive rate", 0, 1.02), {f"{name}, {rates[name][str(AT[1])]:.3f} at {AT[1]:,}":
                                                  (curve[:, 3], curve[:, column]) for name, column in MEASURES.items()})
    if args.json:
        step.write_json(args.json, {"folds": len(folds), "images": len(tasks), "faces": faces, "rates": rates})


if __name__ == "__main__":
    arguments = step.parser(__doc__, "workers")
    arguments.set_defaults(size=ONET.size)
    group = arguments.add_argument_group("measuring")
    group.add_argument("--folds", type=Path, metavar="DIR", help="of the lists (default: <data>/FDDB/FDDB-folds)")
    group.add_argument("--images", type=Path, metavar="DIR", help="of the images (default: <data>/FDDB/originalPics)")
    group.add_argument("--results", type=Path, metavar="DIR", help="score fold-*-out.txt there; detect nothing")
    benchmark.add_arguments(group, "fddb", "detections and curves")
    step.run(main, arguments, benchmark.ignored())
