"""Time of one detection, of this detector and of others, turn by turn in one process.

reads    the images in picture/, from which it makes the four that it measures; model/
prints   Markdown tables: median ms per image, with the number of faces found in parentheses; processor time of all
         threads together, which other processes affect less; then the others' time divided by ours

    python bench/detection.py --yunet face_detection_yunet_2023mar.onnx      # 8 min with all detectors
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench import detectors, measure
from pipeline import tables


def main(args):
    times, names = [], []
    for min_face in args.min_face:
        chosen = detectors.make(args.detectors, min_face, args.yunet)
        names = list(chosen)
        for name in args.images:
            image = detectors.image(name)
            faces = {who: detect(image) for who, detect in chosen.items()}
            taken = measure.by_turns({who: lambda detect=detect: detect(image) for who, detect in chosen.items()},
                                     args.repeats, warm=1)
            times.append((f"{name}, min face {min_face}", {who: measure.medians(t) for who, t in taken.items()}, faces))
    for kind, title in enumerate(("ms", "ms of processor time")):
        print(f"\n{title}\n")
        print(tables.markdown(["image", *names], [
            [label, *(f"{1000 * taken[who][kind]:.0f} ({faces[who]})" for who in names)]
            for label, taken, faces in times]))
    others = [who for who in names if who != "ours"]
    if others and "ours" in names:
        print("\nthe others' time divided by ours (processor time)\n")
        print(tables.markdown(["image", *others], [
            [label, *("{:.1f} ({:.1f})".format(*np.divide(taken[who], taken["ours"])) for who in others)]
            for label, taken, _ in times]))
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    detectors.add_arguments(parser)
    parser.add_argument("--images", nargs="+", choices=detectors.IMAGES, default=list(detectors.IMAGES),
                        metavar="NAME", help=f"of {', '.join(detectors.IMAGES)} (default: all)")
    parser.add_argument("--min-face", type=int, nargs="+", default=[20, 40], metavar="PX", help="default: 20 40")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="turns (default: 15)")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
