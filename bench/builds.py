"""Time of this build beside another one of this project, turn by turn, each in a process of its own.

reads    picture/, from which it makes its images; the weights of each build, or those that --model names for both;
         OTHER is the folder of the other build, e.g. made by `git worktree add ../before 1.0`
prints   a Markdown table: milliseconds of processor time per image, the least and the median, of both; the time of
         the other one divided by ours; the faces that each finds

    python bench/builds.py OTHER                        # 3 min; one thread

"200 sizes" is the mean of 200 images of different sizes, each seen once in a turn. "video" is the mean of 50 frames of
1280x720 that move as in video.py, all of them searched. Linux.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def serve(args):
    """One build: for each line "first last min_face" on standard input detects in these images; prints ms of processor
    time per image, faces."""
    sys.path.insert(0, str(args.serve))
    import cv2
    cv2.setNumThreads(1)
    from detection import Detector
    images = np.load(args.images, allow_pickle=False)
    images = [images[name] for name in images.files]
    more = {"engine": args.engine} if args.engine else {}
    detectors = {}

    def detector(min_face):
        if min_face not in detectors:
            detectors[min_face] = Detector(args.model or args.serve / "model", min_face, **more)
        return detectors[min_face]
    print("ready", flush=True)
    for line in sys.stdin:
        first, last, min_face = map(int, line.split())
        find, start = detector(min_face).detect, time.process_time()
        faces = sum(len(find(image)) for image in images[first:last])
        print(1000 * (time.process_time() - start) / (last - first), faces, flush=True)


class Build:
    """A process that serves one build."""

    def __init__(self, root, images, model, engine):
        command = [sys.executable, __file__, str(root), "--serve", str(root), "--images", str(images),
                   *(["--model", str(model)] if model else []), *(["--engine", engine] if engine else [])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
        self._process.stdout.readline()

    def detect(self, first, last, min_face):
        """-> (ms of processor time per image, faces)"""
        print(first, last, min_face, file=self._process.stdin, flush=True)
        taken, faces = self._process.stdout.readline().split()
        return float(taken), int(faces)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def cases():
    """-> [(label, images, minimum face size, turns)]"""
    from bench import detectors, video
    found = [(f"{name}, min face {min_face}", [detectors.image(name)], min_face, 1) for min_face in (20, 40)
             for name in detectors.IMAGES]
    random = np.random.default_rng(0)
    wide = detectors.image("1280x720")
    sizes = random.integers((240, 320), (720, 1280), (200, 2))
    found.append(("200 sizes, min face 20", [np.ascontiguousarray(wide[:h, :w]) for h, w in sizes], 20, 5))
    found.append(("video 1280x720, min face 40", list(video.views(video.TURN))[::4], 40, 5))
    return found


def main(args):
    sys.path.insert(0, str(ROOT))
    from bench import measure
    from pipeline import tables
    chosen = [case for case in cases() if any(word in case[0] for word in args.only)]
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        np.savez(file, *(image for case in chosen for image in case[1]))
        model = args.model and args.model.resolve()
        builds = {"ours": Build(ROOT, file, model, args.engine),
                  "other": Build(args.other.resolve(), file, model, None)}
        rows, start = [], 0
        for label, images, min_face, slower in chosen:
            span, start = (start, start + len(images), min_face), start + len(images)
            taken, faces = {name: [] for name in builds}, {}
            for turn in range(-1, max(args.repeats // slower, 1)):         # -1: to warm up
                for name, build in builds.items():
                    milliseconds, faces[name] = build.detect(*span)
                    taken[name] += [milliseconds] * (turn >= 0)
            of = {name: (min(times), median(times)) for name, times in taken.items()}
            rows.append([label, *("{:.1f}, {:.1f}".format(*of[name]) for name in builds),
                         *(f"{of['other'][i] / of['ours'][i]:.2f}" for i in (0, 1)),
                         *(str(faces[name]) for name in builds)])
            print(rows[-1], file=sys.stderr, flush=True)
        for build in builds.values():
            build.close()
    print(tables.markdown(["image", "ours", "other", "ratio of the least", "of the medians", "faces", "other's"], rows))
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, metavar="OTHER", help="folder of the other build")
    parser.add_argument("--model", type=Path, metavar="DIR", help="weights of both (default: each its own)")
    parser.add_argument("--engine", metavar="NAME", help="of this build (default: the fastest)")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="cases that contain one of these words")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="turns (default: 15)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--images", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = parse()
    serve(given) if given.serve else main(given)
