"""One Detector in 1, 2 and 4 threads: are the faces those of one thread, and is it at least as fast?

    python tests/threads.py                         # 10,000 calls with each number of threads and each engine
    python tests/threads.py --count 200 --exported onnx-folder tflite-folder

Each line: an engine or a folder of exported nets. wrong, raised: calls that found other faces, or an error. speed:
calls per second of that many threads, over those of one thread; the median of rounds in which they take turns.
"""
import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from config import CASCADE, MODEL  # noqa: E402
from detection import Detector  # noqa: E402
from detection.engines import NAMED, Net, named  # noqa: E402

THREADS = (1, 2, 4)
ROUNDS = 20


def pictures(rng, count=40):
    """Pictures of mixed sizes, 40 to 160 px, from those of the project."""
    whole = [cv2.imread(str(path)) for path in sorted((ROOT / "picture").glob("*.jpg"))]
    return [cv2.resize(whole[i % len(whole)], tuple(rng.integers(40, 160, 2).tolist())) for i in range(count)]


def campaign(detector, images, count, rng):
    """(threads -> wrong, threads -> raised, threads -> speed over one thread)"""
    alone = [detector.detect(image) for image in images]
    wrong, raised, seconds = ({n: [] for n in THREADS} for _ in range(3))

    def call(i):
        try:
            found = detector.detect(images[i])
        except Exception:
            return 0, 1
        return int(not all(np.array_equal(getattr(found, name), getattr(alone[i], name))
                           for name in ("boxes", "scores", "landmarks"))), 0
    for _ in range(ROUNDS):
        order = rng.integers(len(images), size=count // ROUNDS).tolist()
        for n in rng.permutation(THREADS).tolist():
            with ThreadPoolExecutor(n) as threads:
                start = time.perf_counter()
                bad = list(threads.map(call, order))
                seconds[n].append(time.perf_counter() - start)
            wrong[n].append(sum(b[0] for b in bad))
            raised[n].append(sum(b[1] for b in bad))
    return ({n: sum(wrong[n]) for n in THREADS}, {n: sum(raised[n]) for n in THREADS},
            {n: median(one / many for one, many in zip(seconds[1], seconds[n])) for n in THREADS})


def main(args):
    rng, bad = np.random.default_rng(0), 0
    made = {name: [Net.load(MODEL, stage, stage.heads, named(name)) for stage in CASCADE] for name in args.engines}
    if args.exported:
        from export import runners
        made |= {str(folder): runners.load(folder) for folder in args.exported}
    print("| nets | threads | calls | wrong | raised | speed |\n|---|---:|---:|---:|---:|---:|", flush=True)
    for name, nets in made.items():
        wrong, raised, speed = campaign(Detector(nets), pictures(rng), args.count, rng)
        for n in THREADS:
            print(f"| {name} | {n} | {args.count // ROUNDS * ROUNDS:,} | {wrong[n]} | {raised[n]} | {speed[n]:.2f} |",
                  flush=True)
        bad += sum(wrong.values()) + sum(raised.values())
    return bad


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="calls with each number of threads (default: 10,000)")
    parser.add_argument("--engines", nargs="*", default=["litert", "opencv"], choices=NAMED)
    parser.add_argument("--exported", nargs="*", type=Path, default=[], metavar="DIR", help="as export.py writes them")
    sys.exit(1 if main(parser.parse_args()) else 0)
