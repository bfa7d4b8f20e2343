"""Training: samples a second of each net, on records as they come and on one batch that is shown again and again.

reads    nothing: records of random pixels are written to a temporary folder, as many of each kind as a batch needs
prints   a markdown table: samples a second, what reading and changing the samples costs, and batches of 384 that one
         machine reads a second when it does nothing else (from processor time, so that other work matters little)

    python bench/training.py                                                 # 1 min
"""
import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from bench import measure  # noqa: E402
from config import CASCADE  # noqa: E402
from preprocess import records  # noqa: E402
from pipeline import step  # noqa: E402
from detection.quiet_tensorflow import keras, tf  # noqa: E402
from train import batches, loop  # noqa: E402


def random_records(stage, folder, amount=2000):
    """Writes that many records of each kind below the folder -> Records."""
    random, report, outputs = np.random.default_rng(0), {"size": stage.size, "counts": {}, "shards": {}}, {}
    for name in stage.batch:
        crops = random.integers(0, 256, (amount, stage.size, stage.size, 3), dtype=np.uint8)
        path = folder / "records" / f"{name}.tfrecord"
        records.write(path, [records.encode(crop, 1, np.zeros(4), np.zeros(10)) for crop in crops])
        for split in ("train", "validation"):
            report["counts"][f"{name}-{split}"], report["shards"][f"{name}-{split}"] = amount, [path.name]
        outputs[f"records/{path.name}"] = path.stat().st_size
    step.write_json(folder / "records.json", {"outputs": outputs, "report": report})
    return records.Records(folder, stage.size)


def measured(stage, stored, folder, steps, turns):
    """(samples a second on records, on one batch, batches read a second)."""
    keras.mixed_precision.set_global_policy(stage.precision)
    parts = batches.composition(stage, stored.counts)
    training = loop.Training(stage, stored, parts, folder / "train", 1, 1e-6, 0, folder / "graph")

    def coming():
        return iter(batches.training(stored, parts, 0, 0, 0, stage.random_erasing, stage.color_jitter))

    read = coming()
    same = next(read)
    start = time.process_time()
    for _ in range(steps * turns):
        next(read)
    reading = (time.process_time() - start) / os.cpu_count()
    del read
    fresh = coming()

    def train_on(batch):
        for _ in range(steps):
            training._step(batch())
        training.sums.numpy()                       # waits for the last step

    taken = measure.by_turns({"records": lambda: train_on(lambda: next(fresh)),
                              "one batch": lambda: train_on(lambda: same)}, turns)
    real, alone = (sum(parts.values()) * steps / measure.medians(values)[0] for values in taken.values())
    return real, alone, steps * turns / reading


def main(args):
    tf.config.experimental.enable_op_determinism()     # as train/train.py
    keras.utils.set_random_seed(0)
    rows = []
    for stage in CASCADE:
        with tempfile.TemporaryDirectory() as folder:
            stored = random_records(stage, Path(folder))
            real, same, read = measured(stage, stored, Path(folder), args.steps, args.turns)
        rows.append([f"{stage.name}, {stage.precision}", f"{real:,.0f}", f"{same:,.0f}", f"{same / real:.2f}",
                     f"{read:.0f}"])
    measure.table(["net", "samples a second", "on one batch", "times as long on records", "batches read a second"],
                  rows)
    print()
    measure.machine()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="in a turn (default: 20)")
    parser.add_argument("--turns", type=int, default=5, metavar="N", help="of each way; medians count (default: 5)")
    main(parser.parse_args())
