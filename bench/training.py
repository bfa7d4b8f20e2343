"""Training: samples per second of each net, on records and on one batch that is repeated.

reads    nothing: records of random pixels are written to a temporary folder, all kinds of a batch
prints   a Markdown table: samples per second, the cost of reading and augmenting the samples, and the batches of 384
         that one machine reads per second and does nothing else (from processor time, which other work affects less)

    python bench/training.py                                                 # 1 min
"""
import argparse
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench import measure
from config import CASCADE
from detection.quiet_tensorflow import keras, tf
from pipeline import settings, step, tables
from preprocess import records, tfrecord
from train import batches, loop, precision, recipe


def random_records(stage, folder, amount=2000):
    """Writes that many records of each kind below the folder -> Records."""
    random, report, outputs = np.random.default_rng(0), {"size": stage.size, "counts": {}, "shards": {}}, {}
    for name in stage.batch:
        crops = random.integers(0, 256, (amount, stage.size, stage.size, 3), dtype=np.uint8)
        path = folder / "records" / f"{name}.tfrecord"
        tfrecord.write(path, [tfrecord.encode(crop, 1, np.zeros(4), np.zeros(10)) for crop in crops])
        for split in ("train", "validation"):
            report["counts"][f"{name}-{split}"], report["shards"][f"{name}-{split}"] = amount, [path.name]
        outputs[f"records/{path.name}"] = path.stat().st_size
    step.write_json(folder / "records.json", {"depends": {"settings": settings.of_config("POINTS", "MIRROR_ORDER")},
                                              "outputs": outputs, "report": report})
    return records.Records(folder, stage.size)


def measured(stage, stored, folder, steps, turns):
    """(samples per second on records, on one batch, batches read per second)."""
    keras.mixed_precision.set_global_policy(precision.policy(stage.precision))
    slow = dataclasses.replace(recipe.standard(stage), epochs=1, learning_rate=1e-6)
    training = loop.Training(slow, stored, folder / "train", folder / "graph")

    def coming():
        return iter(batches.training(stored, training.per_batch, slow, epoch=0))

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
    real, alone = (sum(training.per_batch.values()) * steps / measure.medians(values)[0] for values in taken.values())
    return real, alone, steps * turns / reading


def main(args):
    tf.config.experimental.enable_op_determinism()     # as train/train.py
    keras.utils.set_random_seed(0)
    rows = []
    for stage in CASCADE:
        with tempfile.TemporaryDirectory() as folder:
            stored = random_records(stage, Path(folder))
            real, same, read = measured(stage, stored, Path(folder), args.steps, args.turns)
        rows.append([f"{stage.name}, {precision.policy(stage.precision)}", f"{real:,.0f}", f"{same:,.0f}",
                     f"{same / real:.2f}", f"{read:.0f}"])
    print(tables.markdown(["net", "samples per second", "on one batch", "times as long on records",
                           "batches read per second"], rows))
    print()
    measure.machine()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="in a turn (default: 20)")
    parser.add_argument("--turns", type=int, default=5, metavar="N", help="of each way; medians count (default: 5)")
    main(parser.parse_args())
