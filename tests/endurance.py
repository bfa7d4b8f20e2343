"""Does memory stay flat over a long run? Detection, mining and reading of records, on small images to be quick.

    python tests/endurance.py                       # 100,000 detections, 100,000 mined images, 100,000 records
    python tests/endurance.py --count 2000

Each line is a process of its own. grown: MB between a tenth of the run and its end, of which more than LIMIT_MB is a
leak. Pictures are of 400 sizes and come round again and again.
"""
import argparse
import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

LIMIT_MB = 30
SIZES = 400


def resident():
    """MB held now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 2 ** 20


def pictures(rng):
    """400 pictures of 24 to 72 px, noise over a part of a scene."""
    import cv2
    import numpy as np
    image = cv2.resize(cv2.imread(str(ROOT / "picture" / "brothers.jpg")), (160, 120))
    for height, width in rng.integers(24, 72, (SIZES, 2)).tolist():
        y, x = int(rng.integers(0, 120 - height + 1)), int(rng.integers(0, 160 - width + 1))
        yield np.ascontiguousarray(image[y:y + height, x:x + width])


def detections(rng, folder):
    from detection import Detector
    detector, images = Detector(min_face_size=16, thresholds=(0.3, 0.3, 0.3)), list(pictures(rng))
    while True:
        for image in images:
            yield detector.detect(image)


def mining(rng, folder):
    import cv2

    from config import MODEL
    from preprocess.gen_hard_example import Sampler
    from preprocess.labels import annotate
    images = []
    for i, image in enumerate(pictures(rng)):
        (folder / f"{i}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
        images.append(annotate(f"{i}.png", [[4, 4, 20, 22]]))
    draw = Sampler(folder, (MODEL, 16, (0.3,), 1), 24, 60, 10, 0)
    while True:
        for image in images:
            yield draw(image)


def records(rng, folder):
    import numpy as np

    from pipeline import settings as st
    from pipeline.step import write_json
    from preprocess import records, tfrecord
    crops = rng.integers(0, 256, (1000, 12, 12, 3), dtype=np.uint8)
    tfrecord.write(folder / "records" / "a", [tfrecord.encode(c, 1, np.zeros(4), np.zeros(10)) for c in crops])
    depends = {"settings": st.of_config("POINTS", "MIRROR_ORDER")}
    write_json(folder / "records.json", {"depends": depends, "outputs": {}, "report": {
        "size": 12, "counts": {"imglist-train": 1000}, "shards": {"imglist-train": ["a"]}}})
    from config import PNET
    from train import batches, recipe
    stored = records.Records(folder, 12)
    for epoch in range(1000):
        for batch in batches.training(stored, {"imglist": 100}, recipe.standard(PNET), epoch).take(1000):
            for row in batch[1]:
                yield row


CASES = {"detections": detections, "mining": mining, "records": records}


def one(name, count):
    """Runs one case; prints count, MB at a tenth and at the end, seconds."""
    import numpy as np
    with tempfile.TemporaryDirectory() as folder:
        began, early = time.monotonic(), None
        for number, _ in enumerate(CASES[name](np.random.default_rng(0), Path(folder)), 1):
            if number == max(count // 10, min(2 * SIZES, count // 2)):
                gc.collect()
                early = resident()
            if number == count:
                break
        gc.collect()
        print(f"{count} {early:.0f} {resident():.0f} {time.monotonic() - began:.0f}")


def main(count, names=tuple(CASES)):
    """Prints the table; returns the MB that each case grew by."""
    print("| case | count | MB at a tenth | MB at the end | grown | seconds |\n|---|---:|---:|---:|---:|---:|",
          flush=True)
    grown = []
    for name in names:
        done = subprocess.run([sys.executable, __file__, "--one", name, "--count", str(count)], capture_output=True,
                              text=True, check=True)
        number, early, late, seconds = map(int, done.stdout.split())
        grown.append(late - early)
        print(f"| {name} | {number:,} | {early} | {late} | {late - early} | {seconds} |", flush=True)
    return grown


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, metavar="N", help="of each (default: 100000)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE",
                        help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        sys.exit(one(args.one, args.count))
    sys.exit(max(main(args.count, args.cases)) > LIMIT_MB)
