"""Renders the figures of docs/mtcnn.md.

reads    picture/astronaut.jpg, mosaic.jpg; <model>/pnet.npz, rnet.npz, onet.npz; docs/logs/<size>.csv, the log.csv
         of long trainings that led to these weights; the synthetic data set in <sample>, which it makes if missing
writes   <out>/*.jpg and training.png, each under 150 KB, the same bytes for the same files and versions
needs    pip install -r requirements-eval.txt
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import cv2
import numpy as np

from config import (
    CASCADE,
    KINDS,
    LANDMARK,
    MIN_FACE_SIZE,
    MODEL,
    NEAR_NEGATIVE_TRIES,
    NEGATIVE,
    NEGATIVE_IOU,
    ONET,
    PART,
    PICTURE,
    PIXEL_MEAN,
    PIXEL_SCALE,
    PNET,
    PNET_STRIDE,
    POSITIVE,
    POSITIVE_IOU,
    PYRAMID_FACTOR,
)
from detection import Detector, images, pyramid
from detection import boxes as bx
from detection.media.draw import BOX, DROPPED, POINT, explain
from preprocess import crops, gen_12net_data, gen_landmark_aug, labels, samples
from preprocess.labels import landmarks as landmark_lists
from preprocess.labels import wider as wider_lists

INK, PAPER, GRAY, AMBER, WHITE = (40, 40, 40), 255, (150, 150, 150), (0, 170, 240), (255, 255, 255)    # BGR
GAP = 10                                                                    # px between the parts of a figure
COLORS = {POSITIVE: BOX, PART: AMBER, NEGATIVE: DROPPED}
SEED = 3                                                                    # of the synthetic scene's crops


# --- Putting images together -----------------------------------------------------------------------------

def blank(width, height):
    return np.full((height, width, 3), PAPER, np.uint8)


def write(image, text, x, y, scale=0.5, color=INK):
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)
    return image


def titled(image, *lines, scale=0.5):
    """The image below lines of text, on paper wide enough for both."""
    width = max([image.shape[1]] + [cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] for line in lines])
    head = blank(width, round(44 * scale) * len(lines) + 4)
    for i, line in enumerate(lines):
        write(head, line, 0, round(44 * scale) * (i + 1) - 6, scale)
    return np.vstack([head, pad(image, width, image.shape[0])])


def pad(image, width, height):
    return cv2.copyMakeBorder(image, 0, height - image.shape[0], 0, width - image.shape[1], cv2.BORDER_CONSTANT,
                              value=(PAPER,) * 3)


def beside(*parts):
    height = max(part.shape[0] for part in parts)
    gap = blank(GAP, height)
    return np.hstack([piece for part in parts for piece in (gap, pad(part, part.shape[1], height))][1:])


def below(*parts):
    width = max(part.shape[1] for part in parts)
    gap = blank(width, GAP)
    return np.vstack([piece for part in parts for piece in (gap, pad(part, width, part.shape[0]))][1:])


def frame(image, boxes, color, thick=1):
    for x1, y1, x2, y2 in np.round(boxes).astype(int).tolist():
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), color, thick, cv2.LINE_AA)
    return image


def dots(image, points, radius):
    for x, y in points.reshape(-1, 2):
        cv2.circle(image, (round(float(x)), round(float(y))), radius, POINT, -1, cv2.LINE_AA)
    return image


def scaled(image, boxes, factor):
    """The image and the boxes on it, resized."""
    height, width = image.shape[:2]
    return images.resize(image, round(width * factor), round(height * factor)), boxes * factor


# --- The cascade on an image ------------------------------------------------------------------------------

def levels_and_packed(image):
    """The levels of the pyramid, and the packed pyramid."""
    scales = images.half_scales(image)
    layout = pyramid.layout(*scales[0].shape[:2], MIN_FACE_SIZE, PYRAMID_FACTOR)
    packed, levels = pyramid.pack(scales, layout), []
    for (width, height), scale in zip(layout.sizes.tolist(), layout.scales[:, 0]):
        level = images.resize(image, width, height)
        text = (f"{width} px", f"faces {PNET.size / scale:.0f} px") if width >= 75 else (f"{width}",)
        levels.append(titled(level, *text, scale=0.4))
    for (x, y), (width, height) in zip(layout.corners.tolist(), layout.sizes.tolist()):
        cv2.rectangle(packed, (x, y), (x + width - 1, y + height - 1), BOX, 1)
    height, width = packed.shape[:2]
    shown = titled(packed, "The packed pyramid: all levels", f"in one image of {width} x {height} px")
    return beside(titled(below(beside(*levels[:2]), beside(*levels[2:])), "The pyramid: a 12 px window finds",
                         "faces of another size on each level"), shown)


def scan(detector, image):
    """Image -> P-Net's windows above the threshold (N, 4), scores (N,), map of scores (h, w); the packed pyramid."""
    scales = detector._scales(image)
    layout = pyramid.layout(*scales[0].shape[:2], detector.min_face_size, detector.factor)
    packed = pyramid.pack(scales, layout)
    score, rows, columns, *_, levels, _ = detector._scan(packed, layout)
    return layout.windows_of(rows, columns, levels), score[rows, columns], score, packed


def proposals(detector, image):
    """P-Net's map of scores, its windows, and the proposals after NMS and correction."""
    windows, _, score, packed = scan(detector, image)
    height, width = score.shape[0] * PNET_STRIDE, score.shape[1] * PNET_STRIDE
    heat = cv2.applyColorMap((score * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    heat = cv2.resize(heat, (width, height), interpolation=cv2.INTER_NEAREST)
    offset = (PNET.size - PNET_STRIDE) // 2                       # a cell stands for the middle of its window
    shown = packed.copy() // 3
    inner = shown[offset:offset + height, offset:offset + width]
    inner[:] = cv2.addWeighted(inner, 1, heat[:inner.shape[0], :inner.shape[1]], 1, 0)
    found = detector.propose(image)
    scale = 335 / image.shape[0]
    before, after = (frame(*scaled(image, boxes, scale), BOX) for boxes in (windows, found.boxes))
    return beside(titled(shown, "score of every window, on the packed pyramid", scale=0.45),
                  below(titled(before, f"{len(windows)} windows above the threshold", scale=0.45),
                        titled(after, f"{len(found)} after NMS and correction", scale=0.45)))


def look(detector, index, image, given):
    """Net `index` on its proposals: windows (N, 4), crops, scores (N,), corrected boxes (N, 4), landmarks (N, 5, 2)."""
    windows = bx.windows(given.boxes)
    crops = images.crop(image, windows, CASCADE[index].size)
    face, offsets, *points = detector.nets[index](crops)
    points = bx.decode_points(points[0], windows) if points else bx.empty(len(windows), 0, 2)
    return windows, crops, face[:, 1], bx.decode(offsets, windows), points


def spread(scores, chosen, count):
    """Indices of at most `count` of the chosen, from the highest score to the lowest."""
    order = np.argsort(-scores, kind="stable")
    order = order[chosen[order]]
    return order[np.unique(np.linspace(0, max(len(order) - 1, 0), count).round().astype(int))] if len(order) else order


def steps(detector, image, count=10, side=104):
    """Inputs and answers of R-Net and O-Net: some windows that they keep, some that they reject."""
    after = detector.trace(image)
    rows = []
    for index in (1, 2):
        windows, crops, scores, boxes, points = look(detector, index, image, after[index - 1])
        keep = scores >= detector.limits(index, detector.octaves(windows))
        tiles, margin = [], 20
        for i in [*spread(scores, keep, count // 2), *spread(scores, ~keep, count // 2)]:
            tile = np.full((side + 2 * margin, side + 2 * margin, 3), 70, np.uint8)
            tile[margin:-margin, margin:-margin] = cv2.resize(crops[i], (side, side), interpolation=cv2.INTER_NEAREST)
            zoom, corner = side / (windows[i, 2] - windows[i, 0]), windows[i, :2]
            if keep[i]:
                frame(tile, (boxes[i:i + 1] - np.tile(corner, 2)) * zoom + margin, BOX, 2)
                dots(tile, (points[i] - corner) * zoom + margin, 3)
            tiles.append(titled(tile, f"{scores[i]:.3f} {'kept' if keep[i] else 'rejected'}", scale=0.45))
        name, size = ("R-Net", "O-Net")[index - 1], CASCADE[index].size
        rows.append(titled(beside(*tiles), f"{name}: {keep.sum()} of {len(windows)} windows of {size} x {size} "
                           "px reach their threshold; left: some of them, corrected; right: rejected"))
    return below(*rows)


def suppression(detector, image):
    """Boxes before and after NMS, of R-Net (by IoU) and of O-Net (by the overlap with the smaller box), on the face to
    which O-Net gives most boxes."""
    after = detector.trace(image)
    given = {index: look(detector, index, image, after[index - 1]) for index in (1, 2)}
    boxes = {index: found[3][found[2] >= detector.limits(index, detector.octaves(found[0]))]
             for index, found in given.items()}
    crowd = bx.minimum_overlap(after[2].boxes, boxes[2]) > ONET.nms
    face = after[2].boxes[crowd.sum(axis=1).argmax()]
    center, half = (face[:2] + face[2:]) / 2, 0.95 * (face[3] - face[1])
    view, parts = np.round(np.hstack([center - half, center + half])), []
    for index, name in ((1, "R-Net"), (2, "O-Net")):
        for text, shown in (("before NMS", boxes[index]), ("after NMS", after[index].boxes)):
            shown = shown[bx.minimum_overlap(shown, face[None])[:, 0] > 0.3]
            part, moved = scaled(images.cut(image, view), shown - np.tile(view[:2], 2), 270 / (view[2] - view[0]))
            parts.append(titled(frame(part, moved, BOX, 2), f"{name}, {text}: {len(shown)}"))
    return beside(*parts)


# --- Samples ----------------------------------------------------------------------------------------------

def scene(sample):
    """The synthetic scene with the largest face: its annotation and its pixels."""
    source = labels.find(sample, *wider_lists.TRAIN_LISTS)
    annotated = wider_lists.read(source, wider_lists.TRAIN_IMAGES)
    largest = max((a for a in annotated if len(a.boxes)), key=lambda a: float(bx.shorter_side(a.boxes).max()))
    return largest, images.read(sample / largest.path)


def overlap_rule(sample):
    """Crops of each kind around one face, with its square, and the IoU rule as a bar."""
    annotation, image = scene(sample)
    face = annotation.boxes[bx.shorter_side(annotation.boxes).argmax()]
    rng = np.random.default_rng(SEED)
    height, width = image.shape[:2]
    tries = np.concatenate([crops.pushed_in(crops.around(rng, face, 40), width, height),
                            crops.near(rng, face, width, height, NEAR_NEGATIVE_TRIES)])
    label, _ = samples.label(tries, annotation.boxes, bx.empty(0, 4), PNET.part_iou)
    square = bx.square(face[None])
    overlap = bx.iou(tries, square)[:, 0]
    factor, parts = 300 / height, []
    for kind, value in (("positive", POSITIVE), ("part", PART), ("negative", NEGATIVE)):
        chosen = np.nonzero(label == value)[0][:3]
        part, moved = scaled(image, np.concatenate([square, tries[chosen]]), factor)
        frame(frame(part, moved[:1], WHITE, 3), moved[1:], COLORS[value], 2)
        parts.append(titled(part, f"{kind}: IoU " + ", ".join(f"{v:.2f}" for v in overlap[chosen])))
    row = beside(*parts)
    bar, left, right = blank(row.shape[1], 70), 30, row.shape[1] - 30
    for low, high, text, color in ((0, NEGATIVE_IOU, "negative", DROPPED),
                                    (PNET.part_iou, POSITIVE_IOU, "part", AMBER), (POSITIVE_IOU, 1, "positive", BOX)):
        x1, x2 = (round(left + v * (right - left)) for v in (low, high))
        cv2.rectangle(bar, (x1, 20), (x2 - 2, 42), color, -1)
        write(bar, text, (x1 + x2) // 2 - 4 * len(text), 36)
    for bound in (0, NEGATIVE_IOU, PNET.part_iou, POSITIVE_IOU, 1):
        write(bar, f"{bound:g}", round(left + bound * (right - left)) - 8, 62)
    write(bar, "IoU of crop and square of the face (white)", left, 14, 0.45)
    return below(row, bar)


def some_samples(sample):
    """Samples of each kind from the synthetic data set: label -> [(pixels, Sample)]."""
    annotation, _ = scene(sample)
    lines, _ = gen_12net_data.Sampler(sample, SEED)(annotation)
    for portrait in landmark_lists.read(labels.find(sample, landmark_lists.TRAIN_LIST))[:6]:
        lines += gen_landmark_aug.Sampler(sample, ONET.size, SEED)(portrait)[0]
    found = {value: [] for value in KINDS.values()}
    for line in (lines[i] for i in np.random.default_rng(SEED).permutation(len(lines))):
        parsed = samples.parse(line)
        found[parsed.label].append((crops.cut(images.read(sample / parsed.path), [parsed], ONET.size)[0], parsed))
    return found


def contact_sheet(found, count=9):
    """A row of samples per kind, with their targets, as in show_samples.py."""
    from preprocess.show_samples import tile
    rows = []
    for kind, value in KINDS.items():
        tiles = [tile(pixels, value, s.offsets, s.points) for pixels, s in found[value][:count]]
        rows.append(titled(np.hstack(tiles), f"{kind}, label {value}", scale=0.6))
    return scaled(below(*rows), 0, 0.75)[0]


def augmented(found, count=9):
    """One positive and one landmark sample, as stored and as augmented in training."""
    from detection.quiet_tensorflow import tf
    from preprocess.show_samples import tile
    from train.augment import Augmentation, augment
    rows = []
    for value in (POSITIVE, LANDMARK):
        pixels, s = found[value][0]
        many = [tf.repeat(tf.constant(a)[None], count - 1, axis=0)
                for a in (pixels, np.int64(value), s.offsets, s.points)]
        shown, _, offsets, points = augment(*many, tf.constant([SEED, value], tf.int64),
                                             Augmentation(color_jitter=1.0, random_erasing=0.5))
        shown = np.round(shown.numpy() / PIXEL_SCALE + PIXEL_MEAN).clip(0, 255).astype(np.uint8)
        tiles = [tile(pixels, value, s.offsets, s.points)]
        tiles += [tile(*sample) for sample in zip(shown, [value] * count, offsets.numpy(), points.numpy())]
        rows.append(np.hstack(tiles))
    return scaled(titled(below(*rows), "left: the record; right: augmented copies", scale=0.6), 0, 0.75)[0]


# --- All of them ------------------------------------------------------------------------------------------

def save(path, image, quality=82):
    image = cv2.copyMakeBorder(image, *[GAP] * 4, cv2.BORDER_CONSTANT, value=(PAPER,) * 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
    print(f"{path}: {image.shape[1]} x {image.shape[0]} px, {path.stat().st_size / 1000:.0f} KB")


def training(path):
    """The losses of the trainings that led to the weights."""
    from pipeline import plots
    from train import plot_log
    plots.grid(path, [plot_log.row(stage.name, plot_log.read(ROOT / f"docs/logs/{stage.size}.csv"))
                       for stage in CASCADE], (2.4, 1.9))
    smaller = cv2.imread(str(path)) // 8 * 8 + 7                      # 32 levels: half the bytes, no visible difference
    cv2.imwrite(str(path), smaller, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def main(args):
    detector = Detector(args.model)
    portrait, group = images.read(PICTURE / "astronaut.jpg"), images.read(PICTURE / "mosaic.jpg")
    on_images = {"pyramid": lambda: levels_and_packed(portrait),
                 "pnet": lambda: proposals(detector, portrait),
                 "cascade": lambda: scaled(explain(portrait, detector.trace(portrait)), 0, 0.5)[0],
                 "steps": lambda: steps(detector, group),
                 "nms": lambda: suppression(detector, group)}
    for name in args.only or [*on_images, "samples", "training"]:
        if name in on_images:
            save(args.out / f"{name}.jpg", on_images[name]())
        elif name == "training":
            training(args.out / "training.png")
        else:
            with tempfile.TemporaryDirectory() as temporary:
                sample = args.sample or Path(temporary) / "sample"
                if not sample.is_dir():
                    subprocess.run([sys.executable, str(ROOT / "data" / "make_sample.py"), "--out", str(sample),
                                    "--images", "18", "--val-images", "1", "--landmark-images", "12"], check=True)
                save(args.out / "iou.jpg", overlap_rule(sample))
                found = some_samples(sample)
                save(args.out / "samples.jpg", contact_sheet(found))
                save(args.out / "augment.jpg", augmented(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="weights (default: model/)")
    parser.add_argument("--sample", type=Path, metavar="DIR", help="a synthetic data set (default: makes one)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures", metavar="DIR",
                        help="default: docs/figures")
    parser.add_argument("--only", nargs="+", metavar="NAME",
                        choices=("pyramid", "pnet", "cascade", "steps", "nms", "samples", "training"),
                        help="only these: pyramid pnet cascade steps nms samples (with iou, augment) training")
    main(parser.parse_args())
