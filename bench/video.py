"""Processor time of a frame of a video in which faces are followed between searches, and how many faces that finds.

reads    the images in picture/, from which it makes one of 1920x1080, over which a view of 1280x720 moves; model/
prints   a Markdown table, a row for each --search-every of test.py: ms of processor time a frame, without reading and
         writing the video; the time of a search of every frame divided by it; the share of that search's faces that are
         found (IoU 0.5), and the faces that it does not find

    python bench/video.py            # 1 min
"""
import argparse
import math
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench import detectors, measure
from detection import Detector
from detection import boxes as bx
from detection.media.track import Follower
from pipeline import step, tables

RATE = 25          # frames/s
TURN = 200         # frames from left to right and back: at most 10 px a frame


def views(count):
    """uint8 (720, 1280, 3) * count: faces enter and leave at the sides."""
    image = detectors.image("1920x1080")
    for i in range(count):
        share = (1 - math.cos(2 * math.pi * i / TURN)) / 2
        x, y = round(640 * share), round(360 * share)
        yield np.ascontiguousarray(image[y:y + 720, x:x + 1280])


def hits(boxes, others):
    """Boxes (N, 4), others (M, 4) -> how many of the boxes one of the others has found, IoU 0.5."""
    return int((bx.iou(boxes, others).max(axis=1, initial=0) >= 0.5).sum())


def main(args):
    detector = Detector(min_face_size=args.min_face)
    followers = {number: Follower(detector, number) for number in (1, *args.search_every)}
    taken, found, others, searched = dict.fromkeys(followers, 0.0), Counter(), Counter(), 0
    for i, frame in enumerate(views(args.frames)):
        faces = {}
        for number, follower in followers.items():
            start = time.process_time()
            faces[number] = follower.detect(frame, i / RATE)[0].boxes
            taken[number] += time.process_time() - start
            found[number] += hits(faces[1], faces[number])
            others[number] += len(faces[number]) - hits(faces[number], faces[1])
        searched += len(faces[1])
    print(tables.markdown(["search every", "ms a frame", "times faster", "faces found", "others"], [
        [f"{number}", f"{1000 * taken[number] / args.frames:.1f}", f"{taken[1] / taken[number]:.1f}",
         f"{found[number] / max(searched, 1):.3f}", f"{others[number]}"] for number in followers]))
    print(f"\n{searched} faces in {args.frames} frames of 1280x720, minimum face size {args.min_face} px\n")
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search-every", type=step.positive, nargs="+", default=[3, 5, 8], metavar="N",
                        help="default: 3 5 8")
    parser.add_argument("--min-face", type=int, default=40, metavar="PX", help="default: 40")
    parser.add_argument("--frames", type=int, default=TURN, metavar="N", help=f"default: {TURN}")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
