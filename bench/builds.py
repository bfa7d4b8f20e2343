"""Time of this build beside another one of this project, turn by turn, each in a process of its own.

reads    picture/, from which it makes its images; the weights of each build, or those that --model names for both;
         OTHER is the folder of the other build, e.g. made by `git worktree add ../before 1.0`
prints   a Markdown table: milliseconds of processor time per image, the least and the median, of both; the time of
         the other one divided by ours; the faces that each finds

    python bench/builds.py OTHER                        # 3 min; one thread
    python bench/builds.py OTHER --throughput           # images per second: one after the other, and with two threads

"200 sizes" is the mean of 200 images of different sizes, each seen once. "video" is the mean of 50 frames of 1280x720
that move as in video.py; --follow gives this build the engine and the search interval of test.py --track.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def serve(args):
    """One build: for each line "index min_face" on standard input detects in that image; prints ms, faces."""
    sys.path.insert(0, str(args.serve))
    import cv2
    cv2.setNumThreads(args.threads)
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
        job, first, last, min_face = line.split()
        chosen, find = images[int(first):int(last)], detector(int(min_face)).detect
        start = time.perf_counter(), time.process_time()
        if job == "threads":
            with ThreadPoolExecutor(2) as pool:
                found = sum(map(len, pool.map(find, chosen)))
        else:
            found = sum(len(find(image)) for image in chosen)
        taken = time.perf_counter() - start[0], time.process_time() - start[1]
        print(*(1000 * seconds / len(chosen) for seconds in taken), found, flush=True)


class Build:
    """A process that serves one build."""

    def __init__(self, root, images, args, threads, engine):
        command = [sys.executable, __file__, str(root), "--serve", str(root), "--images", str(images), "--threads",
                   str(threads), *(["--model", str(args.model)] if args.model else []),
                   *(["--engine", engine] if engine else [])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         cwd=root)
        self._process.stdout.readline()

    def ask(self, *job):
        """-> (ms, ms of processor time, faces)"""
        print(*job, file=self._process.stdin, flush=True)
        wall, processor, faces = self._process.stdout.readline().split()
        return float(wall), float(processor), int(faces)

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
    threads = 0 if args.throughput else 1
    with tempfile.TemporaryDirectory() as folder:
        images, file = [image for case in chosen for image in case[1]], Path(folder) / "images.npz"
        np.savez(file, *images)
        if not args.throughput:
            os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
        builds = {"ours": Build(ROOT, file, args, threads, args.engine), "other": Build(args.other, file, args, threads,
                                                                                       None)}
        rows, start = [], 0
        for label, pictures, min_face, slower in chosen:
            span, start = (start, start + len(pictures), min_face), start + len(pictures)
            taken, faces = {name: [] for name in builds}, {}
            for turn in range(-1, max(args.repeats // slower, 1)):
                for name, build in builds.items():
                    *times, faces[name] = build.ask("turn", *span)
                    if turn >= 0 or len(pictures) > 1:
                        taken[name].append(times[1])
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
    parser.add_argument("--engine", metavar="NAME", help="of this build (default: that of both)")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="cases that contain one of these words")
    parser.add_argument("--throughput", action="store_true", help="images per second instead")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="turns (default: 15)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--images", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = parse()
    serve(given) if given.serve else main(given)
