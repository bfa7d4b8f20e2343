"""Time and memory of the pipeline's steps: lists, TFRecords, training, mining. Each step is run as a user runs it.

reads    the sample of data/make_sample.py, made where it is missing, or the images that --data names
writes   lists, records and weights below --work, a new folder that is removed at the end unless --work names it
prints   a Markdown table: seconds of each step, start of Python included, seconds of processor time, MB of memory that
         its largest process held at most, units of work and units per second; a row for all of them. With --to-weights
         the trainings have the epochs of config.py, and AP on the val images of --data follows

    python bench/pipeline.py                                                 # 6 min on the sample
    python bench/pipeline.py --data DIR --to-weights                         # hours; from nothing to weights and AP
    python bench/pipeline.py --data DIR --to-weights --share 0.1             # the same with a tenth of the images

Linux and macOS.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import measure
from pipeline import tables

STEPS = (("preprocess/gen_12net_data.py",), ("preprocess/gen_landmark_aug.py", "12"),
         ("preprocess/gen_imglist_pnet.py",), ("preprocess/gen_tfrecords.py", "12"),
         ("train/train.py", "12"), ("preprocess/gen_hard_example.py", "12"),
         ("preprocess/gen_landmark_aug.py", "24"), ("preprocess/gen_tfrecords.py", "24"),
         ("train/train.py", "24"), ("preprocess/gen_hard_example.py", "24"),
         ("preprocess/gen_landmark_aug.py", "48"), ("preprocess/gen_tfrecords.py", "48"),
         ("train/train.py", "48"))


def run(command, where):
    """Runs one step -> (seconds, processor seconds, MB at most in one process, what it printed); ends this script where
    it fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        start = time.perf_counter()
        words = [sys.executable, ROOT / command[0], *command[1:], *where]
        step = subprocess.Popen(words, stdout=printed, stderr=printed)
        _, step.returncode, usage = os.wait4(step.pid, 0)            # of the step and all processes that it waited for
        seconds = time.perf_counter() - start
        printed.seek(0)
        text = printed.read()
    if step.returncode:
        sys.exit(f"error: {' '.join(command)} failed: {text.strip().splitlines()[-1]}")
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return seconds, usage.ru_utime + usage.ru_stime, peak, text


def part_of(data, share, folder):
    """Links to the data in a new folder, with every n-th image of the two training lists alone -> that folder."""
    folder.mkdir()
    every = round(1 / share)
    for entry in data.iterdir():
        if entry.name not in ("wider_face_split", "trainImageList.txt"):
            (folder / entry.name).symlink_to(entry.resolve())
    boxes = (data / "wider_face_split/wider_face_train_bbx_gt.txt").read_text(encoding="utf-8").splitlines(True)
    starts = [number for number, line in enumerate(boxes) if line.strip().endswith(".jpg")]
    kept = [boxes[start:end] for start, end in list(zip(starts, [*starts[1:], None]))[::every]]
    (folder / "wider_face_split").mkdir()
    (folder / "wider_face_split/wider_face_train_bbx_gt.txt").write_text("".join(sum(kept, [])), encoding="utf-8")
    points = (data / "trainImageList.txt").read_text(encoding="utf-8").splitlines(True)
    (folder / "trainImageList.txt").write_text("".join(points[::every]), encoding="utf-8")
    return folder


def units(text):
    """Text of a step's finished progress bars -> the largest (number, unit), e.g. (300, "image")."""
    bars = [(int(done), re.search("[a-z]{3,}", rate).group()) for done, total, rate in
            re.findall(r"(\d+)/(\d+) \[[^,\]]*,([^\]]*)\]", text) if done == total]
    return max(bars, default=(0, ""))


def main(args):
    data = measure.sample_or(args.data).resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = args.work or Path(folder)
        if args.share < 1:
            data = part_of(data, args.share, work / "part")
        where = ["--data", data, "--work", work, "--model", work / "model"]
        epochs = [] if args.to_weights else ["--epochs", str(args.epochs)]
        rows, sums = [], [0.0, 0.0, 0.0]
        for step in STEPS:
            command = [*step, *epochs] if step[0] == "train/train.py" else step
            seconds, processor, peak, text = run(command, where)
            sums = [sums[0] + seconds, sums[1] + processor, max(sums[2], peak)]
            count, unit = units(text)
            rows.append([" ".join(command), *(f"{value:.0f}" for value in (seconds, processor, peak)),
                         f"{count:,} {unit}s" if count else "", f"{count / seconds:,.0f}" if count else ""])
            print(json.dumps(rows[-1]), file=sys.stderr)
        rows.append(["all", *(f"{value:.0f}" for value in sums), "", ""])
        print(tables.markdown(["step", "s", "processor s", "peak MB", "units", "per second"], rows))
        if args.to_weights:
            print("\n" + run(["evaluate/wider.py", "--out", str(work / "wider")], where)[-1])
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="images (default: the sample of data/make_sample.py)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep what is written (default: a temporary folder)")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="of each training (default: 2)")
    parser.add_argument("--to-weights", action="store_true", help="all epochs, then AP on the val images")
    parser.add_argument("--share", type=float, default=1, metavar="S",
                        help="of the images to train on, 0..1: every n-th of the lists (default: all)")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
