"""Time of one detection, ours and the peers', turn by turn in one run.

reads    the pictures in picture/, of which it makes the four that it measures; model/
prints   a markdown table: median ms a picture, in brackets the faces found; then how many times faster ours is

    python bench/detection.py --yunet face_detection_yunet_2023mar.onnx      # 8 min with all contestants
"""
import argparse
from statistics import median

import contestants
import measure


def main(args):
    times, names = [], []
    for min_face in args.min_face:
        detectors = contestants.make(args.contestants, min_face, args.yunet)
        names = list(detectors)
        for name in args.pictures:
            image = contestants.picture(name)
            faces = {who: detect(image) for who, detect in detectors.items()}
            seconds = measure.by_turns({who: lambda detect=detect: detect(image) for who, detect in detectors.items()},
                                       args.repeats, warm=1)
            times.append((f"{name}, min face {min_face}", {who: median(s) for who, s in seconds.items()}, faces))
    measure.table(["picture", *names], [
        [label, *(f"{1000 * seconds[who]:.0f} ({faces[who]})" for who in names)] for label, seconds, faces in times])
    if "ours" in names:
        print("\nTimes faster than each (median against median):\n")
        others = [who for who in names if who != "ours"]
        measure.table(["picture", *others], [
            [label, *(f"{seconds[who] / seconds['ours']:.1f}" for who in others)] for label, seconds, _ in times])
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    contestants.add_arguments(parser)
    parser.add_argument("--pictures", nargs="+", choices=contestants.PICTURES, default=list(contestants.PICTURES),
                        metavar="NAME", help=f"of {', '.join(contestants.PICTURES)} (default: all)")
    parser.add_argument("--min-face", type=int, nargs="+", default=[20, 40], metavar="PX", help="default: 20 40")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="turns (default: 15)")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
