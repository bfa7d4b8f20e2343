"""Draws what a net will see: samples of each kind from the TFRecords of a size, with their targets.

reads    <work>/<size>/records
writes   <work>/<size>/samples.png: a block of rows per kind; the box of positives and parts in green, points in red

--raw draws what the labels say, before any step:

reads    the label files and images of step 1 (preprocess/labels/sets.py)
writes   <work>/labels.png: a block of rows per set; faces in green, those that do not count in red, points in red
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
from detection import images
from detection.errors import UserError
from detection.files import write_bytes
from detection.media.draw import BOX, DROPPED, POINT
from pipeline import step
from preprocess.labels import AnnotatedImage, sets

TILE, MARGIN = 96, 24      # px of a sample on the sheet, and dark space around it, as boxes leave the crop
PANEL = 320                # px of a labeled image on the sheet, its longer side


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


def labeled(image: np.ndarray, said: AnnotatedImage) -> np.ndarray:
    """uint8 (H, W, 3) and what its label says -> a panel (PANEL, PANEL, 3), the boxes and points drawn."""
    height, width = image.shape[:2]
    scale = PANEL / max(height, width)
    canvas = np.full((PANEL, PANEL, 3), 40, np.uint8)
    small = images.resize(image, max(round(width * scale), 1), max(round(height * scale), 1))
    canvas[:small.shape[0], :small.shape[1]] = small
    for box, invalid, points in zip(said.boxes * scale, said.invalid, said.points * scale):
        x1, y1, x2, y2 = np.round(box).astype(int).tolist()
        cv2.rectangle(canvas, (x1, y1), (x2, y2), DROPPED if invalid else BOX, 1)
        for x, y in points[np.isfinite(points).all(axis=1)]:
            cv2.circle(canvas, (round(float(x)), round(float(y))), 2, POINT, -1, cv2.LINE_AA)
    return canvas


def raw_sheet(data: Path, annotated: list[AnnotatedImage], count: int, columns: int = 6) -> np.ndarray:
    """Annotated images -> one image uint8 (H, W, 3) with up to `count` of each source, evenly chosen."""
    sources, rows = {}, []
    for said in annotated:
        parts = said.path.split("/")
        sources.setdefault("/".join(parts[:2]) if parts[0] == sets.SETS else parts[0], []).append(said)
    for source, all_said in sources.items():
        panels = []
        for said in all_said[::max(len(all_said) // count, 1)][:count]:
            try:
                panels.append(labeled(images.read(data / said.path), said))
            except UserError as error:
                print(f"skipped: {error}")
        rows += block(source, panels, columns)
    if not rows:
        raise UserError(f"{data}: none of the labeled images can be read")
    return np.vstack(rows)


def block(title: str, tiles: list[np.ndarray], columns: int) -> list[np.ndarray]:
    """Images of one size -> rows of a sheet, the title above them; nothing where there are none."""
    if not tiles:
        return []
    tiles = tiles + [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i:i + columns]) for i in range(0, len(tiles), columns)]
    head = np.zeros((30, rows[0].shape[1], 3), np.uint8)
    cv2.putText(head, title, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 1, cv2.LINE_AA)
    return [head, *rows]


def sheet(dataset: "tf.data.Dataset", count: int, columns: int = 12) -> np.ndarray:  # noqa: F821
    """Decoded samples -> one image uint8 (H, W, 3) with up to `count` of each kind, a block of rows per kind."""
    blocks = []
    for kind, value in KINDS.items():
        chosen = dataset.filter(lambda image, label, *_, value=value: label == value)
        blocks += block(kind, [tile(*sample) for sample in islice(chosen.as_numpy_iterator(), count)], columns)
    return np.vstack(blocks)


def main(args: argparse.Namespace) -> None:
    """Writes the sheet of one size, or of the labels."""
    if args.count < 1:
        raise UserError(f"--count must be at least 1, not {args.count}")
    if args.raw:
        annotated, _ = sets.training(args.data)
        path, drawn = args.work / "labels.png", raw_sheet(args.data, annotated, args.count)
    elif args.size is None:
        raise UserError("name the size of a net, 12, 24 or 48, or --raw to see the labels")
    else:
        path, drawn = args.work / str(args.size) / "samples.png", sheet_of_records(args)
    write_bytes(path, cv2.imencode(".png", drawn)[1].tobytes())
    print(f"{path}: up to {args.count} {'images of each source' if args.raw else 'samples of each kind'}")


def sheet_of_records(args: argparse.Namespace) -> np.ndarray:
    """The sheet of the records of one size. UserError where they hold no sample of the split, or a shard is damaged."""
    from detection.quiet_tensorflow import tf  # takes 2.7 s, and --raw needs none of it
    from preprocess import records
    stored = records.Records(args.work / str(args.size), args.size)
    names = [name for name in STAGES[args.size].batch if stored.counts[f"{name}-{args.split}"]]
    if not names:
        raise UserError(f"{stored.manifest}: there is no {args.split} sample to draw; name the other --split, or add "
                        "images and do the steps again")
    files = [path for name in names for path in stored.files(name, args.split)]
    dataset = tf.data.TFRecordDataset(files).batch(256).map(lambda r: records.decode(r, args.size)).unbatch()
    with stored.named_errors():
        return sheet(dataset, args.count)


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=STAGES, nargs="?", help="of the net, px")
    arguments.add_argument("--raw", action="store_true", help="the labels themselves, without a size")
    arguments.add_argument("--count", type=int, default=24,
                           help="samples of each kind, or images of each set (default: 24)")
    arguments.add_argument("--split", choices=("train", "validation"), default="train", help="default: train")
    step.run(main, arguments)
