"""Time and peak memory of reading a list of very many annotated images, as steps 1 and 6 read it. Linux.

    python bench/labels.py --images 100000 --faces 3            # half a minute; 1,000,000: 4 min

Writes a list in WIDER FACE's official form into a temporary folder, of random boxes, geometric in number; of 1,000
images there is a file, which is the same. Prints what the step prints of the list, then MB and processor seconds.
"""
import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from bench import measure
from preprocess.labels import sets, wider

SIDE, FILES, EVENTS = 1024, 1000, 61


def write(data: Path, images: int, faces: float) -> None:
    """The list of `images` images with a mean of `faces` faces, and some of their files, below the data folder."""
    rng, listed = np.random.default_rng(0), data / wider.TRAIN_LISTS[0]
    listed.parent.mkdir(parents=True)
    cv2.imwrite(str(data / "real.jpg"), rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))
    with open(listed, "w", encoding="utf-8") as file:
        for number in range(images):
            event = f"{number * EVENTS // images}--Event"
            name, count = f"{event}/{event}_{number}.jpg", int(rng.geometric(1 / faces))
            marks = rng.integers(0, 3, (count, 6)) * (np.arange(6) != wider.INVALID - 4)
            rows = np.hstack([rng.integers(0, 900, (count, 2)), rng.integers(5, 120, (count, 2)), marks])
            file.write(f"{name}\n{count}\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist()))
            if number % max(images // FILES, 1) == 0:
                path = data / wider.TRAIN_IMAGES / name
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(data / "real.jpg", path)


def main(args):
    with tempfile.TemporaryDirectory() as data:
        write(Path(data), args.images, args.faces)
        before, start = measure.resident(peak=True), time.process_time()
        images, _ = sets.training(Path(data))
        spent = time.process_time() - start
    held, peak = measure.resident(), measure.resident(peak=True)
    print(f"{len(images):,} images in {spent:.0f} s: {held:.0f} MB held, {peak:.0f} at the peak, {before:.0f} before")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--faces", type=float, default=3,
                        help="per image, the mean, at least 1 (WIDER FACE: 12; default: 3)")
    arguments = parser.parse_args()
    if arguments.images < 1 or not arguments.faces >= 1:
        parser.error("--images and --faces must be at least 1")
    main(arguments)
