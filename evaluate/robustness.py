"""What a change of the image costs: recall in other light and color, blurred, noisy, turned, cut by an image border.

reads    the WIDER FACE val images and annotations below <data>, or those that --annotations and --images name;
         <model>/pnet.npz, rnet.npz, onet.npz, or with --detector MODULE:FUNCTION no weights
writes   <out>/robustness.png; a table, and the same numbers to --json FILE

Recall is the share of the true faces (valid, at least --min-truth px on the shorter side) that some box covers with an
IoU of 0.5 or more, with a 95 % bootstrap interval over the images. A turned face is the box around the ellipse that its
box holds. A border cuts each face on its own: half of what its box shows is left, which is then the true box.

FUNCTION takes an image, uint8 (H, W, 3) BGR, and returns its boxes (N, 4): x1 y1 x2 y2 in px. MODULE is looked up in
the current folder first. So any other detector is measured on the same images.

    python evaluate/robustness.py --data DATA --every 4
    python evaluate/robustness.py --data DATA --every 4 --detector my_detector:boxes
"""
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from config import MIN_FACE_SIZE, ONET, OUTPUT  # noqa: E402
from detection import UserError, images  # noqa: E402
from detection import boxes as bx
from pipeline import plots, step, tables, workers  # noqa: E402
from pipeline.problems import Problems  # noqa: E402
from preprocess import labels, partial_cascade, samples  # noqa: E402
from preprocess.labels import wider as wider_lists  # noqa: E402

MATCH_IOU = 0.5
MIN_TRUTH = 24          # px of the shorter side of the faces that count: half of one is a face to most detectors
CONTEXT = 4             # longer sides of a cut face that the image keeps around its center, where it has them
REPEATS = 2000          # of the bootstrap


def swapped(image, rng):
    return np.ascontiguousarray(image[..., ::-1])


def gray(image, rng):
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def compressed(image, rng):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], cv2.IMREAD_COLOR)


def noisy(image, rng):
    return pixels(image + rng.normal(0, 25, image.shape))


def darker(image, rng):
    return pixels(image * 0.25)


def brighter(image, rng):
    return pixels(image * 1.8)


def blurred(image, rng):
    return cv2.GaussianBlur(image, (0, 0), 2)


def pixels(values):
    """Values of any size -> the nearest uint8."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def turned(image, boxes, degrees):
    """Image, boxes (N, 4) -> the image turned counter-clockwise on a canvas that holds all of it, the boxes (N, 4)
    around the turned ellipses that the boxes hold."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)                          # (2, 3)
    size = np.ceil(np.abs(turn[:, :2]) @ (width, height) - 1e-6)
    turn[:, 2] += (size - (width, height)) / 2
    center = (boxes[:, :2] + boxes[:, 2:]) / 2 @ turn[:, :2].T + turn[:, 2]                        # (N, 2)
    half = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (turn[:, :2] ** 2).T)                # (N, 2)
    turn[:, 2] += (turn[:, :2].sum(axis=1) - 1) / 2              # OpenCV counts from the pixels' centers
    canvas = cv2.warpAffine(image, turn, tuple(size.astype(int).tolist()))
    return canvas, np.hstack([center - half, center + half]).astype(np.float32)


def cut(image, face, side):
    """Image, face (4,) -> the part of the image around the face that a border through its center leaves, which is now
    the `side` border, and what is left of the face (1, 4). Center and size are those of what the image shows of it."""
    height, width = image.shape[:2]
    face = bx.clip(face[None], width, height)[0]
    center = np.clip(np.round((face[:2] + face[2:]) / 2), 1, (width - 1, height - 1))
    reach = CONTEXT * np.ceil(max(1, *(face[2:] - face[:2])))
    part = bx.clip(np.concatenate([center - reach, center + reach])[None], width, height)[0]
    edge = ("left", "top", "right", "bottom").index(side)
    part[edge] = center[edge % 2]
    x1, y1, x2, y2 = map(int, part)
    return image[y1:y2, x1:x2].copy(), bx.clip(face[None] - np.tile(part[:2], 2), x2 - x1, y2 - y1)


COLORS = {"red and blue swapped": swapped, "gray": gray, "JPEG quality 10": compressed, "noise, sigma 25": noisy,
          "a quarter of the brightness": darker, "1.8 times the brightness": brighter, "blur, sigma 2": blurred}
TURNS = {f"turned by {degrees} degrees": degrees for degrees in (30, 45)}
BORDERS = {f"half cut by the {side} border": side for side in ("left", "bottom", "top")}
CHANGES = ("none", *COLORS, *TURNS, *BORDERS)


def changed(image, boxes, change, rng):
    """Image, boxes (N, 4), one of CHANGES -> [(image, boxes)] that together have as many boxes."""
    if change in BORDERS:
        return [cut(image, face, BORDERS[change]) for face in boxes]
    if change in TURNS:
        return [turned(image, boxes, TURNS[change])]
    return [(COLORS[change](image, rng) if change in COLORS else image, boxes)]


@lru_cache(maxsize=1)
def hook(name):
    """MODULE:FUNCTION -> the function."""
    module, _, function = name.partition(":")
    sys.path.insert(0, "")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"--detector {name}: cannot be imported ({error}); give MODULE:FUNCTION, with MODULE.py in the "
                        "current folder") from None
    finally:
        sys.path.remove("")


def boxes_of(returned, name):
    """What the function `name` of --detector returned -> boxes float32 (N, 4); UserError unless these or empty."""
    try:
        boxes = np.asarray(returned, np.float32)
        found = f"an array of shape {boxes.shape}"
    except (TypeError, ValueError) as error:
        boxes, found = None, f"no array of numbers ({error})"
    if boxes is None or boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4):
        raise UserError(f"--detector {name}: returns {found} where boxes (N, 4), x1 y1 x2 y2 in px, are expected; "
                        "return these alone")
    return boxes.reshape(-1, 4)


@dataclass(frozen=True)
class Measure:
    """One annotated image -> change -> (N,) bool: which of its faces are found; or the reason why not. cascade: of
    partial_cascade, or the name of a hook."""
    data: Path
    cascade: tuple | str
    min_truth: float

    def __call__(self, annotated):
        try:
            image = images.read(self.data / annotated.path)
        except UserError as error:
            return str(error)
        truth = annotated.boxes[~annotated.invalid & (bx.shorter_side(annotated.boxes) >= self.min_truth)]
        rng = samples.rng("robustness", annotated.path)
        return {change: np.concatenate([np.zeros(0, bool), *(self._found(*each) for each in changed(
            image, truth, change, rng))]) for change in CHANGES}

    def _found(self, image, truth):
        if not len(truth):
            return np.zeros(0, bool)
        if isinstance(self.cascade, str):
            boxes = boxes_of(hook(self.cascade)(image), self.cascade)
        else:
            boxes = partial_cascade.detector(*self.cascade).detect(image).boxes
        return bx.iou(truth, boxes).max(axis=1, initial=0) >= MATCH_IOU


def recall(found):
    """Faces found of each image, a list of (N,) bool -> recall, and its 95 % bootstrap interval over images."""
    counts = np.array([(each.sum(), len(each)) for each in found if len(each)])                    # (images, 2)
    drawn = np.random.default_rng(0).integers(0, len(counts), (REPEATS, len(counts)))
    hits, faces = counts[drawn].sum(axis=1).T
    low, high = np.percentile(hits / faces, (2.5, 97.5))
    return {"faces": int(counts[:, 1].sum()), "recall": float(counts[:, 0].sum() / counts[:, 1].sum()),
            "interval": [float(low), float(high)]}


def main(args):
    step.require("matplotlib")
    cascade = args.detector or partial_cascade.options(args, "threshold")
    if args.detector:
        hook(args.detector)
    source = args.annotations or labels.find(args.data, *wider_lists.VAL_LISTS)
    annotated = wider_lists.read(source, args.images, args.data)[::args.every]
    print(f"{source}:\n{labels.summary(annotated, args.min_truth)}")
    measured, problems = [], Problems()
    for result in workers.run(Measure(args.data, cascade, args.min_truth), annotated, args.workers, "robustness",
                              [1] * len(annotated), "image"):
        measured.append(result) if isinstance(result, dict) else problems.add(result)
    problems.report(len(annotated), "images", source)
    if not any(len(result["none"]) for result in measured):
        raise UserError(f"{source}: no valid face of {args.min_truth:g} px and more in it; lower --min-truth")
    rows = {change: recall([result[change] for result in measured]) for change in CHANGES}
    print(f"\n{rows['none']['faces']:,} faces\n\n" + tables.markdown(["change", "recall", "lowest", "highest"], [
        [change, row["recall"], *row["interval"]] for change, row in rows.items()]))
    plots.bars(args.out / "robustness.png", f"Recall at IoU {MATCH_IOU}, {rows['none']['faces']:,} faces",
               {change: (row["recall"], *row["interval"]) for change, row in rows.items()})
    if args.json:
        step.write_json(args.json, rows)


if __name__ == "__main__":
    arguments = step.parser(__doc__, "workers")
    arguments.set_defaults(size=ONET.size)
    group = arguments.add_argument_group("measuring")
    group.add_argument("--annotations", type=Path, metavar="FILE", help="instead of WIDER FACE val's, in either form")
    group.add_argument("--images", default=wider_lists.VAL_IMAGES, metavar="FOLDER",
                       help=f"of the images, below <data> (default: {wider_lists.VAL_IMAGES})")
    group.add_argument("--detector", metavar="MODULE:FUNCTION", help="measure this function instead of the weights")
    partial_cascade.add_arguments(group, "threshold", MIN_FACE_SIZE)
    group.add_argument("--min-truth", type=float, default=MIN_TRUTH, metavar="PX",
                       help=f"smallest true face counted, shorter side (default: {MIN_TRUTH})")
    group.add_argument("--every", type=step.positive, default=1, metavar="N", help="only every N-th image (default: 1)")
    group.add_argument("--out", type=Path, default=OUTPUT / "robustness", metavar="DIR",
                       help="of the plot (default: output/robustness)")
    group.add_argument("--json", type=Path, metavar="FILE", help="the numbers, for programs")
    step.run(main, arguments, {"detector": ("thresholds", "min_face", "model")})
