"""Many images on all cores: one call after the other, threads that share a Detector, processes with one each.

reads    picture/, from which it makes its images; model/
prints   a Markdown table: milliseconds per image, the least of all turns, as other work on the machine only adds to
         them; in parentheses how many times as many images per second that is as with calls one after the other

    python bench/throughput.py                                               # 3 min

One call after the other may use all cores for its nets. The threads and processes are as many as there are cores, and
the nets of each use one thread. Images travel to the processes and faces back, as in a program of its own.
"""
import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2

from bench import detectors, measure
from detection import Detector
from pipeline import tables

CORES = os.cpu_count() or 1
ALONE = "one after the other"
WAYS = (ALONE, "one after the other, one thread", f"{CORES} threads", f"{CORES} processes")


def start(min_face):
    """In a process of the pool: makes its detector."""
    global detect
    cv2.setNumThreads(1)
    detect = Detector(min_face_size=min_face).detect


def found(image):
    """In a process of the pool: image -> number of faces."""
    return len(detect(image))


def ways(images, min_face, processes):
    """{way: function() -> faces in the images}"""
    def counted(threads, each):
        def run():
            cv2.setNumThreads(threads)
            return sum(map(len, each()))
        return run
    many, one = Detector(min_face_size=min_face), Detector(min_face_size=min_face)
    pool = ThreadPoolExecutor(CORES)
    return dict(zip(WAYS, (
        counted(CORES, lambda: map(many.detect, images)), counted(1, lambda: map(one.detect, images)),
        counted(1, lambda: pool.map(one.detect, images)), lambda: sum(processes.map(found, images)))))


def main(args):
    rows = []
    for min_face in args.min_face:
        with ProcessPoolExecutor(CORES, get_context("spawn"), start, (min_face,)) as processes:
            for name in args.images:
                images = [detectors.image(name)] * args.number
                chosen = ways(images, min_face, processes)
                if len({run() for run in chosen.values()}) > 1:
                    sys.exit(f"error: {name}: not every way finds the same faces")
                taken = measure.by_turns(chosen, args.repeats, warm=1)
                least = {way: min(wall for wall, _ in times) for way, times in taken.items()}
                rows.append([f"{name}, min face {min_face}", *(
                    f"{1000 * least[way] / args.number:.1f} ({least[ALONE] / least[way]:.2f})" for way in WAYS)])
    print(tables.markdown(["ms per image", *WAYS], rows))
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", choices=detectors.IMAGES, default=list(detectors.IMAGES),
                        metavar="NAME", help=f"of {', '.join(detectors.IMAGES)} (default: all)")
    parser.add_argument("--min-face", type=int, nargs="+", default=[20], metavar="PX", help="default: 20")
    parser.add_argument("--number", type=int, default=4, metavar="N", help="images in a turn (default: 4)")
    parser.add_argument("--repeats", type=int, default=20, metavar="N", help="turns (default: 20)")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
