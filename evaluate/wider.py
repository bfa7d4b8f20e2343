"""Average precision on WIDER FACE val, easy, medium and hard, by the benchmark's own protocol.

reads    wider_face_val.mat, wider_easy_val.mat, wider_medium_val.mat, wider_hard_val.mat in
         <data>/eval_tools/ground_truth (from eval_tools.zip of the benchmark's site); the val images below
         <data>/WIDER_val/images; <model>/pnet.npz, rnet.npz, onet.npz. With --results no image and no weights
writes   <out>/<event>/<image>.txt, the official result files; <out>/precision_recall.png; a table, and the same
         numbers to --json FILE

Each of the three sets counts some of the faces; a detection on a face that does not count is neither a true nor a false
positive. Without --all or --list the images that the folder holds are used. Numbers on a part of the images compare
only with others on the same part: score another detector's result files with --results and the same --list.
"""
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import ONET
from detection import UserError
from evaluate import benchmark, metrics
from evaluate.wider_truth import SETS, Truth, read_truth
from pipeline import plots, step
from pipeline.problems import Problems
from preprocess.labels import reading
from preprocess.labels import wider as wider_lists

TRUTH = "eval_tools/ground_truth"


def choose(truth: Mapping[str, Truth], folder: Path, suffix: str = ".jpg", listed: Path | None = None) -> list[str]:
    """The images to score, event/image: those listed, else those that the folder holds; UserError where there are none,
    or a listed one is not of val."""
    if listed:
        names = []
        for number, line in reading.text_lines(listed):
            names.append(line.replace("\\", "/").removesuffix(".jpg"))
            if names[-1] not in truth:
                raise UserError(f"{listed}:{number}: {line} is no image of WIDER FACE val; write event/image.jpg, "
                                "one per line")
    else:
        names = [name for name in truth if (folder / f"{name}{suffix}").is_file()]
    if not names:
        raise UserError(f"{listed or folder}: no image of WIDER FACE val is there; check the name of the "
                        + ("list" if listed else "folder, which holds a folder for each event"))
    return list(dict.fromkeys(names))


def detect(names: Sequence[str], args: Namespace) -> None:
    """Writes the official result files of these images to <out>."""
    cascade = benchmark.options(args)
    found = benchmark.detect(args.images, [f"{name}.jpg" for name in names], cascade, args.workers, args.images)
    for name, faces in zip(names, found, strict=True):
        step.write_text(args.out / f"{name}.txt", benchmark.result_text(name.split("/")[1], faces))


def stem_of(name: str) -> str:
    """Name of an image -> the same without its folder and its ending."""
    last = name.replace("\\", "/").split("/")[-1]
    return Path(last).stem if reading.is_image_name(last) else last


def read(names: Sequence[str], folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Result files below the folder -> [(boxes (N, 4) px, scores (N,))], none for an image that has no file of its own.

    A file names its image with or without a folder and an ending, as the tools of others do.
    """
    results, problems = [], Problems()
    for name in names:
        path, stem, found = folder / f"{name}.txt", name.split("/")[-1], {}
        wrong = "is not there"
        if path.is_file():
            found = benchmark.read_results(path)
            wrong = [stem_of(each) for each in found] != [stem] and \
                f"should name {stem} alone and names {', '.join(found) or 'nothing'}"
        if wrong:
            problems.add(f"{path} {wrong}; the faces of this image count as missed")
            found = {stem: (np.zeros((0, 4)), np.zeros(0))}
        results += found.values()
    problems.report(len(names), "result files", folder)
    return results


def score(truth: Sequence[Truth], results: Sequence[tuple]) -> tuple[dict, dict]:
    """Truths and results of the same images -> {set: numbers}, {set: (recall (T,), precision (T,))}."""
    scores = metrics.normalize([scores for _, scores in results])
    best = [metrics.best_faces(boxes, image.boxes) for (boxes, _), image in zip(results, truth)]
    numbers, lines = {}, {}
    for name in SETS:
        counted = [image.counted[name] for image in truth]
        faces = int(sum(map(np.sum, counted)))
        numbers[name] = {"faces": faces, "ap": None, "recall": None}
        if faces:
            counts = np.sum([metrics.proposals_and_found(*image) for image in zip(scores, best, counted)], axis=0)
            precision, recall = metrics.precision_recall(counts, faces)
            numbers[name].update(ap=metrics.average_precision(precision, recall), recall=float(recall[-1]))
            lines[name] = recall, precision
    return numbers, lines


def main(args):
    step.require("scipy", "matplotlib")
    args.images = args.images or args.data / wider_lists.VAL_IMAGES
    truth = read_truth(args.truth or args.data / TRUTH)
    where = (args.results, ".txt") if args.results else (args.images, ".jpg")
    names = list(truth) if args.all else choose(truth, *where, args.list)
    print(f"{len(names):,} of the {len(truth):,} images of WIDER FACE val")
    if not args.results:
        detect(names, args)
    results = read(names, args.results or args.out)
    numbers, lines = score([truth[name] for name in names], results)
    print(f"{sum(len(scores) for _, scores in results):,} detections\n\n{'set':<8}{'faces':>8}{'AP':>8}{'recall':>8}")
    for name, row in numbers.items():
        values = [f"{row[key]:>8.3f}" if row["faces"] else f"{'-':>8}" for key in ("ap", "recall")]
        print(f"{name:<8}{row['faces']:>8,}{''.join(values)}")
    plots.draw(args.out / "precision_recall.png", f"WIDER FACE val, {len(names):,} of {len(truth):,} images",
                ("recall", 0, 1), ("precision", 0, 1.02),
                {f"{name}, AP {numbers[name]['ap']:.3f}": line for name, line in lines.items()})
    if args.json:
        step.write_json(args.json, {"images": len(names), "of": len(truth), "sets": numbers})


if __name__ == "__main__":
    arguments = step.parser(__doc__, "workers")
    arguments.set_defaults(size=ONET.size)
    group = arguments.add_argument_group("measuring")
    group.add_argument("--truth", type=Path, metavar="DIR", help=f"of the .mat files (default: <data>/{TRUTH})")
    group.add_argument("--images", type=Path, metavar="DIR",
                       help=f"of the images, one folder per event (default: <data>/{wider_lists.VAL_IMAGES})")
    which = group.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="all images of val, also missing ones")
    which.add_argument("--list", type=Path, metavar="FILE", help="these images: event/image.jpg, one per line")
    group.add_argument("--results", type=Path, metavar="DIR", help="score the result files there; detect nothing")
    benchmark.add_arguments(group, "wider", "result files and curves")
    step.run(main, arguments, benchmark.ignored("images", "workers"))
