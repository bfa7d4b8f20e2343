"""Draws what a net will see: samples of each kind from the TFRecords of a size, with their targets.

reads    <work>/<size>/records
writes   <work>/<size>/samples.png: a block of rows per kind; the box of positives and parts in green, points in red
"""
import argparse
import sys
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from config import KINDS, LANDMARK, NEGATIVE, STAGES
from detection import boxes as bx
from detection.media.draw import BOX, POINT
from detection.quiet_tensorflow import tf
from pipeline import step
from preprocess import records

TILE, MARGIN = 96, 24      # px of a sample on the sheet, and dark space around it, as boxes leave the crop


def tile(image: np.ndarray, label: int, offsets: np.ndarray, points: np.ndarray) -> np.ndarray:
    """uint8 (size, size, 3), label, offsets (4,), points (2P,) -> enlarged with targets: (TILE + 2 MARGIN, same, 3)."""
    side = TILE + 2 * MARGIN
    canvas = np.full((side, side, 3), 40, np.uint8)
    canvas[MARGIN:-MARGIN, MARGIN:-MARGIN] = cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    crop = np.array([[MARGIN, MARGIN, MARGIN + TILE, MARGIN + TILE]], np.float32)
    if label == LANDMARK:
        places = bx.decode_points(points[None], crop)[0]
        for x, y in places[np.isfinite(places).all(axis=1)]:
            cv2.circle(canvas, (round(float(x)), round(float(y))), 3, POINT, -1, cv2.LINE_AA)
    elif label != NEGATIVE:
        x1, y1, x2, y2 = (round(float(v)) for v in bx.decode(offsets[None], crop)[0])
        cv2.rectangle(canvas, (x1, y1), (x2, y2), BOX, 1)
    return canvas


def sheet(dataset: tf.data.Dataset, count: int, columns: int = 12) -> np.ndarray:
    """Decoded samples -> one image uint8 (H, W, 3) with up to `count` of each kind, a block of rows per kind."""
    blocks = []
    for kind, value in KINDS.items():
        chosen = dataset.filter(lambda image, label, *_, value=value: label == value)
        tiles = [tile(*sample) for sample in islice(chosen.as_numpy_iterator(), count)]
        if not tiles:
            continue
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
        rows = [np.hstack(tiles[i:i + columns]) for i in range(0, len(tiles), columns)]
        title = np.zeros((30, rows[0].shape[1], 3), np.uint8)
        cv2.putText(title, kind, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 1, cv2.LINE_AA)
        blocks += [title, *rows]
    return np.vstack(blocks)


def main(args: argparse.Namespace) -> None:
    """Writes the sheet of one size."""
    folder = args.work / str(args.size)
    stored = records.Records(folder, args.size)
    files = [path for name in STAGES[args.size].batch for path in stored.files(name, args.split)]
    dataset = tf.data.TFRecordDataset(files).batch(256).map(lambda r: records.decode(r, args.size)).unbatch()
    path = folder / "samples.png"
    cv2.imwrite(str(path), sheet(dataset, args.count))
    print(f"{path}: up to {args.count} samples of each kind")


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=STAGES, help="of the net, px")
    arguments.add_argument("--count", type=int, default=24, help="samples of each kind (default: 24)")
    arguments.add_argument("--split", choices=("train", "validation"), default="train", help="default: train")
    step.run(main, arguments)
