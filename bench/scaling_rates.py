"""The rates that bench/scaling.py computes with, and its model against real runs.

prints   rates of the steps' serial parts, from processor time, which other work affects less; with --check,
         the predicted and the real seconds of two steps on the sample of data/make_sample.py with 1 and 2 processes

    python bench/scaling_rates.py                             # 10 s; those of training: bench/training.py
    python bench/scaling_rates.py --check                     # a minute, where nothing else runs
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import measure
import scaling
from config import IMAGES_PER_PART
from pipeline import step, tables
from pipeline.problems import Problems
from preprocess import lists, shards


def measure_serial(lines_total=500_000):
    """Prints the rates of what one process does, through the steps' own code."""
    line = "WIDER_train/images/0--Parade/0_Parade_marchingband_1_849.jpg\t100 200 140 240 0 0\t1\t0.1 -0.1 0.1 0\t0 0\n"
    with tempfile.TemporaryDirectory() as folder:
        run = step.Step(folder, "measured", {}, {}, {})
        run.finished()
        images = list(range(lines_total // 100))
        head = json.dumps({"counts": Counter(), "problems": asdict(Problems())})
        for i in range(0, len(images), IMAGES_PER_PART):
            step.write_text(run.part(f"{i:06d}.tsv"), head + "\n" + line * (100 * len(images[i:i + IMAGES_PER_PART])))
        seconds = {}
        for name, work in (("merged", lambda: lists.write(run, None, images, ["positive"], 1, "")),
                           ("digested", lambda: step.digest(Path(folder) / "positive.txt")),
                           ("scattered", lambda: shards.scatter(
                               [Path(folder) / "positive.txt"], [Path(folder) / f"{i}" for i in range(64)]))):
            start = time.process_time()
            work()
            seconds[name] = time.process_time() - start
        size = (Path(folder) / "positive.txt").stat().st_size
    print(f"lines merged a second {lines_total / seconds['merged']:,.0f}, scattered "
          f"{lines_total / seconds['scattered']:,.0f}; bytes digested a second {size / seconds['digested']:,.0f}")


def check(data):
    """Prints predicted and real seconds of steps with 1 and 2 processes; the rate is that of 1 process, whose libraries
    are kept to one thread, as in a pool of several."""
    rows, environment = [], {**os.environ, "OPENCV_FOR_THREADS_NUM": "1"}
    for words in (["gen_12net_data.py"], ["gen_hard_example.py", "12"]):
        real = {}
        for processes in (1, 2):
            with tempfile.TemporaryDirectory() as work:
                start = time.perf_counter()
                subprocess.run([sys.executable, scaling.ROOT / "preprocess" / words[0], *words[1:],
                                "--data", data, "--work", work, "--workers", str(processes)],
                               check=True, capture_output=True, env=environment)
                real[processes] = time.perf_counter() - start
                report = next(json.loads(path.read_text())["report"] for path in Path(work).glob("*/*.json"))
        start_up = scaling.rates()["serial"]["seconds to start a step"]
        rate = report["images"] / (real[1] - start_up)
        predicted = start_up + scaling.mapped(report["images"], rate, 2)
        rows.append([" ".join(words), *(f"{s:.1f}" for s in (real[1], real[2], predicted)),
                     f"{predicted / real[2] - 1:+.0%}"])
    print(tables.markdown(["step", "1 process, s", "2, s", "2 predicted, s", "error"], rows))
    measure.machine()


def main(args):
    if args.check:
        check(measure.sample_or(args.data))
    else:
        measure_serial()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="the model against real runs")
    parser.add_argument("--data", type=Path, metavar="DIR",
                        help="images of --check (default: the sample of data/make_sample.py)")
    main(parser.parse_args())
