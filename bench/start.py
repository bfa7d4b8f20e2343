"""Time from the start of a process to its first result, files in the system's cache.

reads    picture/, from which it makes one image of 640x480; model/
prints   a Markdown table: median and best seconds of the starts, turn by turn

    python bench/start.py --yunet face_detection_yunet_2023mar.onnx          # 1 min with all detectors
"""
import argparse
import json
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import detectors, measure
from pipeline import tables


def one(name, yunet):
    """Runs in the started process: one detection; the line that it prints ends the time."""
    chosen = detectors.make([name], 20, yunet)
    if chosen:
        print(json.dumps([chosen[name](detectors.image("640x480"))]), flush=True)


def main(args):
    if args.one:
        return one(args.one, args.yunet)
    yunet = ["--yunet", args.yunet] if args.yunet else []
    seconds = {}
    for turn in range(args.repeats + 1):                       # the first turn fills the system's file cache
        for name in args.detectors if turn == 0 else list(seconds):
            faces, taken = measure.in_a_process(__file__, "--one", name, *yunet)
            if faces is not None:
                seconds.setdefault(name, []).append(taken)
    print(tables.markdown(["detector", "start to first result, s", "best, s"], [
        [name, f"{median(taken[1:]):.2f}", f"{min(taken[1:]):.2f}"] for name, taken in seconds.items()]))
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    detectors.add_arguments(parser)
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="starts of each (default: 5)")
    parser.add_argument("--one", choices=detectors.ALL, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parse()))
