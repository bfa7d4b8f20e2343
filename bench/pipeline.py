"""Rates of the pipeline's steps: lists, TFRecords, training, mining. Each step is run as a user runs it.

reads    the sample of data/make_sample.py, made where it is missing, or the images that --data names
writes   lists, records and weights below --work, a new folder that is removed at the end unless --work names it
prints   a Markdown table: seconds of each step, start of Python included, and units of work per second

    python bench/pipeline.py                                                 # 6 min on the sample
"""
import argparse
import json
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
         ("train/train.py", "12", "--epochs", "{epochs}"), ("preprocess/gen_hard_example.py", "12"),
         ("preprocess/gen_landmark_aug.py", "24"), ("preprocess/gen_tfrecords.py", "24"),
         ("train/train.py", "24", "--epochs", "{epochs}"), ("preprocess/gen_hard_example.py", "24"),
         ("preprocess/gen_landmark_aug.py", "48"), ("preprocess/gen_tfrecords.py", "48"),
         ("train/train.py", "48", "--epochs", "{epochs}"))


def run(command, where):
    """Runs one step -> (seconds, what it printed); ends this script where it fails."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, ROOT / command[0], *command[1:], *where], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - start, done.stdout + done.stderr


def units(text):
    """Text of a step's finished progress bars -> the largest (number, unit), e.g. (300, "image")."""
    bars = [(int(done), re.search("[a-z]{3,}", rate).group()) for done, total, rate in
            re.findall(r"(\d+)/(\d+) \[[^,\]]*,([^\]]*)\]", text) if done == total]
    return max(bars, default=(0, ""))


def main(args):
    data = measure.sample_or(args.data)
    with tempfile.TemporaryDirectory() as folder:
        work = args.work or Path(folder)
        where = ["--data", data, "--work", work, "--model", work / "model"]
        rows = []
        for step in STEPS:
            command = [part.format(epochs=args.epochs) for part in step]
            seconds, text = run(command, where)
            count, unit = units(text)
            rows.append([" ".join(command), f"{seconds:.1f}", f"{count:,} {unit}s" if count else "",
                         f"{count / seconds:,.0f}" if count else ""])
            print(json.dumps(rows[-1]), file=sys.stderr)
    print(tables.markdown(["step", "s", "units", "per second"], rows))
    print()
    measure.machine()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="images (default: the sample of data/make_sample.py)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep what is written (default: a temporary folder)")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="of each training (default: 2)")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
