"""Is the one-file detector the same as Detector, and what does it cost?

reads    images: --data DIR, walked recursively (default: picture/)
prints   one row: faces of Detector, those that the file finds at IoU > 0.98, of these with scores within 0.005 and
         landmarks within 0.2 px; time as a multiple of Detector's, one thread each, taken in turns; peak memory of a
         process that runs the file on all images
writes   with --results DIR: DIR/detector and DIR/file, the faces of both in WIDER FACE's form, whose AP
         `python evaluate/wider.py --results DIR/file` gives; --data is then the folder of its images
"""
import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from config import CASCADE, MIN_FACE_SIZE, MODEL, PICTURE
from detection import Detector, images, weights
from detection import boxes as bx
from detection.cascade import Faces
from detection.errors import run_main
from detection.media import sources
from evaluate import benchmark
from export.packages import optional
from export.targets import detector_onnx
from pipeline import step

THRESHOLDS = [stage.threshold for stage in CASCADE]


def onnx_runtime(model: bytes):
    """ONNX model of the detector -> function of an image that gives boxes, scores, landmarks; one thread."""
    runtime = optional("onnxruntime", "running the detector")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    settings = {"min_face": np.array(MIN_FACE_SIZE, np.float32), "thresholds": np.float32(THRESHOLDS)}
    return lambda image: session.run(None, {"image": image, **settings})


def agreement(faces, found) -> np.ndarray:
    """Faces of Detector, what the file found -> how many of the faces, found again, also scores, also landmarks."""
    boxes, scores, landmarks = found
    if not len(faces) or not len(boxes):
        return np.array([len(faces), 0, 0, 0])
    overlap = bx.iou(faces.boxes, boxes)
    best, same = overlap.argmax(axis=1), overlap.max(axis=1) > 0.98
    same_score = same & (np.abs(scores[best] - faces.scores) < 0.005)
    same_points = same_score & (np.abs(landmarks[best] - faces.landmarks).max(axis=(1, 2)) < 0.2)
    return np.array([len(faces), same.sum(), same_score.sum(), same_points.sum()])


def main(args):
    cv2.setNumThreads(1)
    arrays = {stage.name: weights.read(args.model / f"{stage.name}.npz", stage) for stage in CASCADE}
    run = onnx_runtime(detector_onnx.build(arrays))
    files = [source.where for source in sources.find([args.data])[0] if source.kind == "image"][::args.every]
    if args.memory:
        for file in files:
            run(images.read(file))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    detector, counts, seconds = Detector(args.model, MIN_FACE_SIZE), np.zeros(4, int), np.zeros(2)
    for file in files:
        image = images.read(file)
        start = time.process_time()
        faces = detector.detect(image)
        middle = time.process_time()
        found = run(image)
        seconds += middle - start, time.process_time() - middle
        counts += agreement(faces, found)
        for name, each in {"detector": faces, "file": Faces(*found)}.items() if args.results else ():
            path = args.results / name / file.relative_to(args.data).with_suffix(".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(benchmark.result_text(file.stem, each), encoding="utf-8")
    command = [sys.executable, __file__, "--memory", *sys.argv[1:]]
    memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() if args.peak else "-"
    print("images  faces   same  score  points  ms per image  times Detector's  peak MB")
    print(f"{len(files):6} " + " ".join(f"{count:6,}" for count in counts) +
          f" {1000 * seconds[1] / len(files):14.0f} {seconds[1] / seconds[0]:17.2f} {memory:>8}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=PICTURE, metavar="DIR", help="images (default: picture/)")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="trained weights (default: model/)")
    parser.add_argument("--every", type=step.positive, default=1, metavar="N", help="every Nth image (default: all)")
    parser.add_argument("--results", type=Path, metavar="DIR", help="write the faces there, for evaluate/wider.py")
    parser.add_argument("--peak", action="store_true", help="measure the memory, too, by a second run")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    run_main(main, parser.parse_args())
