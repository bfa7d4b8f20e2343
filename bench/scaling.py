"""How long the pipeline takes, and what it stores, for any number of photos and workers; a worker is one machine.

reads    bench/rates.json: measured rates of one machine, each with the command that measures it
prints   hours of each step and storage as markdown; with --measure, the rates of the steps' serial parts and of
         reading batches, from processor time, so that other work matters little; with --check, predicted and real seconds of two steps on the drawn sample with 1 and 2 processes

    python bench/scaling.py                             # the tables of docs/scaling.md, 1 s
    python bench/scaling.py --measure                   # half a minute
    python bench/scaling.py --check --data data/sample  # a minute
"""
import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import measure  # noqa: E402

from config import CASCADE, MAX_PARTS, PHOTOS_PER_PART, PNET_BASE, STAGES, Dense, Conv  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
BATCH = 384
# Samples a photo: model/README.md, "Data" and the table of samples; landmarks are of the landmark photos
SAMPLES = {"12net": 118.4, "mined by P-Net": 86.0, "mined by P-Net and R-Net": 30.8}
LINE, RECORD = 110, 170        # bytes of a line of a list, and of a record besides its pixels
STEPS = {"12": "12net", "24": "mined by P-Net", "48": "mined by P-Net and R-Net"}


def rates():
    text = json.loads((ROOT / "bench" / "rates.json").read_text(encoding="utf-8"))
    return {group: {name: value[0] for name, value in rows.items()} for group, rows in text.items() if group != "machine"}


def part_size(photos):
    return max(PHOTOS_PER_PART, -(-photos // MAX_PARTS))


def mapped(photos, rate, processes):
    """Seconds until the last of `processes` has done its parts; each takes the next part when it is free."""
    size = part_size(photos)
    cost, parts = size / rate, photos // size
    if parts > 50 * processes:          # the last part of each hardly counts
        return photos / rate / processes + cost / 2
    free = [0.0] * processes
    for done in range(0, photos, size):
        heapq.heappush(free, heapq.heappop(free) + min(size, photos - done) / rate)
    return max(free)


def collect(rate, photos, workers, name):
    """(parallel, serial) seconds of a step from photos to lists."""
    lines = photos * SAMPLES[name]
    parts = photos / part_size(photos)
    serial = lines / rate["serial"]["lines merged a second"] + parts / rate["assumed"]["files made a second"] \
        + rate["serial"]["seconds to start a step"]
    return mapped(photos, rate["photos a second"][name], workers), serial


def cut(rate, samples, workers, size):
    """(parallel, serial) seconds of writing TFRecords."""
    serial = samples / rate["serial"]["lines scattered a second"] \
        + samples * LINE / rate["serial"]["bytes digested a second"] + rate["serial"]["seconds to start a step"]
    return samples / rate["records a second"][size] / workers, serial


def step_seconds(rate, size, workers, batch=BATCH):
    """Seconds of one training step on so many workers: a share of the net's work, all of the input's, and what they
    exchange, in rounds around the ring of workers."""
    stage, share = STAGES[int(size)], batch / BATCH
    reading = share / rate["batches of 384 read a second"][size]       # on the same cores as the net
    net = share / rate["batches of 384 a second"][size] - reading
    if workers == 1:
        return net + reading
    norms = sum(isinstance(layer, (Conv, Dense)) for layer in stage.layers)
    rounds = 4 * norms + 3 + 1          # moments there and back, three heads, gradients packed as one
    exchanged = 4 * (stage.parameters + 16 * batch)
    hops = 2 * (workers - 1) * rate["assumed"]["seconds of one hop between machines"]
    return net / workers + reading + rounds * hops + 2 * exchanged / rate["assumed"]["bytes a second between machines"]


def samples_of(photos):
    """Size -> samples that the net is trained on, landmarks left out."""
    return {"12": min(5 * PNET_BASE, photos * SAMPLES["12net"]), "24": photos * SAMPLES["mined by P-Net"],
            "48": photos * SAMPLES["mined by P-Net and R-Net"]}


def predict(photos, workers):
    """Rows (what, parallel hours, serial hours) and the sum of a whole run."""
    rate, rows = rates(), []
    for size, samples in samples_of(photos).items():
        rows.append((f"{STEPS[size]}: lists", *collect(rate, photos, workers, STEPS[size])))
        rows.append((f"TFRecords {size}", *cut(rate, samples, workers, size)))
        best = min((n for n in (1, 2, 4, 8, 16, 32, 64, 128) if n <= workers), key=lambda n: step_seconds(rate, size, n))
        seconds = STAGES[int(size)].epochs * samples / BATCH * step_seconds(rate, size, best)
        rows.append((f"training {size}, on {best}", seconds, 0.0))
    return [(name, parallel / 3600, serial / 3600) for name, parallel, serial in rows]


def tables():
    for photos in (10 ** 6, 10 ** 9):
        runs = {workers: predict(photos, workers) for workers in (1, 10, 100, 1000)}
        print(f"\n{photos:,} photos: hours (of them in one process)\n")
        rows = [[one[0].split(", on")[0], *(f"{run[i][1] + run[i][2]:,.1f} ({run[i][2]:,.1f})" for run in runs.values())]
                for i, one in enumerate(runs[1])]
        rows.append(["all", *(f"{sum(p + s for _, p, s in run):,.0f}" for run in runs.values())])
        measure.table(["step", *(f"{workers:,}" for workers in runs)], rows)
        lines = photos * sum(SAMPLES.values()) * LINE
        shards = sum(n * (int(size) ** 2 * 3 + RECORD) for size, n in samples_of(photos).items())
        print(f"\nphotos {photos * rates()['assumed']['bytes of a photo'] / 1e12:,.1f} TB, lists {lines / 1e12:,.2f} TB, "
              f"TFRecords {shards / 1e12:,.2f} TB; {photos / part_size(photos):,.0f} parts of {part_size(photos):,} photos")
    rate = rates()
    print("\nmilliseconds of a training step, batch 384 and (384 a worker)\n")
    measure.table(["net", "1", "2", "4", "8", "16", "100", "1,000"], [[stage.name, *(
        f"{1e3 * step_seconds(rate, str(stage.size), n):,.1f} ({1e3 * step_seconds(rate, str(stage.size), n, BATCH * n):,.0f})"
        for n in (1, 2, 4, 8, 16, 100, 1000))] for stage in CASCADE])


def measure_serial(lines_total=500_000):
    """Prints the rates of what one process does, through the steps' own code, and of reading batches."""
    from collections import Counter
    from dataclasses import asdict
    from preprocess import gen_tfrecords, lists, step
    from preprocess.annotations import Problems
    line = "WIDER_train/images/0--Parade/0_Parade_marchingband_1_849.jpg\t100 200 140 240 0 0\t1\t0.1 -0.1 0.1 0\t0 0\n"
    with tempfile.TemporaryDirectory() as folder:
        run = step.Step(folder, "measured", [], {})
        run.finished()
        photos = list(range(lines_total // 100))
        head = json.dumps({"counts": Counter(), "problems": asdict(Problems())})
        for i in range(0, len(photos), PHOTOS_PER_PART):
            step.write_text(run.part(f"{i:06d}.tsv"), head + "\n" + line * (100 * len(photos[i:i + PHOTOS_PER_PART])))
        seconds = {}
        for name, work in (("merged", lambda: lists.write(run, None, photos, ["positive"], 1, "")),
                           ("digested", lambda: step.digest(Path(folder) / "positive.txt")),
                           ("scattered", lambda: gen_tfrecords.scatter(
                               [Path(folder) / "positive.txt"], [Path(folder) / f"{i}" for i in range(64)]))):
            start = time.process_time()
            work()
            seconds[name] = time.process_time() - start
        size = (Path(folder) / "positive.txt").stat().st_size
    print(f"lines merged a second {lines_total / seconds['merged']:,.0f}, scattered "
          f"{lines_total / seconds['scattered']:,.0f}; bytes digested a second {size / seconds['digested']:,.0f}")


def measure_reading(batches_read=20):
    """Prints how many batches of 384 one machine reads and prepares a second, from records of random pixels."""
    import numpy as np
    from preprocess import records, step
    from train import batches
    random = np.random.default_rng(0)
    for stage in CASCADE:
        with tempfile.TemporaryDirectory() as folder:
            report, outputs = {"size": stage.size, "counts": {}, "shards": {}}, {}
            for name in stage.batch:
                crops = random.integers(0, 256, (2000, stage.size, stage.size, 3), dtype=np.uint8)
                path = Path(folder) / "records" / f"{name}.tfrecord"
                records.write(path, [records.encode(crop, 1, np.zeros(4), np.zeros(10)) for crop in crops])
                report["counts"][f"{name}-train"], report["shards"][f"{name}-train"] = len(crops), [path.name]
                outputs[f"records/{path.name}"] = path.stat().st_size
            step.write_json(Path(folder) / "records.json", {"outputs": outputs, "report": report})
            parts = batches.composition(stage, report["counts"], BATCH)
            data = iter(batches.training(records.Records(folder, stage.size), parts, 0, 0, occlusion=stage.occlusion))
            next(data)
            start = time.process_time()      # of all threads
            for _ in range(batches_read):
                next(data)
            seconds = (time.process_time() - start) / os.cpu_count()
            print(f"{stage.name}: batches of {BATCH} read a second {batches_read / seconds:.1f}")


def main(args):
    if args.measure:
        measure_serial()
        measure_reading()
    elif args.check:
        check(args.data)
    else:
        tables()


def check(data):
    """Prints predicted and real seconds of steps with 1 and 2 processes; the rate is that of 1 process."""
    rows = []
    for words in (["gen_12net_data.py"], ["gen_hard_example.py", "12"]):
        real = {}
        for processes in (1, 2):
            with tempfile.TemporaryDirectory() as work:
                start = time.perf_counter()
                done = subprocess.run([sys.executable, ROOT / "preprocess" / words[0], *words[1:], "--data", data, "--work",
                                       work, "--workers", str(processes)], check=True, capture_output=True, text=True)
                real[processes] = time.perf_counter() - start
                report = next(json.loads(path.read_text())["report"] for path in Path(work).glob("*/*.json"))
        start_up = rates()["serial"]["seconds to start a step"]
        rate = report["photos"] / (real[1] - start_up)
        predicted = start_up + mapped(report["photos"], rate, 2)
        rows.append([" ".join(words), f"{real[1]:.1f}", f"{real[2]:.1f}", f"{predicted:.1f}", f"{predicted / real[2] - 1:+.0%}"])
        del done
    measure.table(["step", "1 process, s", "2, s", "2 predicted, s", "error"], rows)
    measure.machine()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="the rates of the serial parts")
    parser.add_argument("--check", action="store_true", help="against real runs")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "sample", metavar="DIR", help="photos of --check")
    main(parser.parse_args())
