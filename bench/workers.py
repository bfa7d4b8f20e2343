"""Processor time of a training step on 1, 2 and 4 workers that share each batch; all of them run on this machine.

reads    nothing: records of random pixels are written to a temporary folder
prints   a Markdown table: milliseconds of processor time of a worker for each step, the mean of all workers; then for
         preparing its rows of a batch alone, and for preparing all rows, as a single worker does

    python bench/workers.py                             # 3 min; each worker computes in one thread
"""
import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import measure
from config import CASCADE
from pipeline import tables


def work(folder, steps):
    """One worker: prints {net: [ms of processor time of a step, of preparing its rows, of preparing all rows]}."""
    from detection.quiet_tensorflow import keras, tf
    from preprocess import records
    from train import batches, loop, precision, recipe, replicas
    strategy = replicas.strategy()
    tf.config.experimental.enable_op_determinism()
    taken = {}
    for stage in CASCADE:
        keras.mixed_precision.set_global_policy(precision.policy(stage.precision))
        slow = replace(recipe.standard(stage), epochs=1, learning_rate=1e-6)
        stored = records.Records(folder / stage.name, stage.size)
        graph = folder / f"{stage.name}-{os.getpid()}"
        training = loop.Training(slow, stored, graph, graph, strategy)

        def prepare(rows, per_batch=training.per_batch, stored=stored, slow=slow):
            return iter(batches.training(stored, per_batch, slow, epoch=0, rows=rows))

        def milliseconds(coming, use):
            for _ in range(3):
                use(next(coming))
            training.sums.numpy()                       # waits for the last step
            start = time.process_time()
            for _ in range(steps):
                use(next(coming))
            training.sums.numpy()
            return 1000 * (time.process_time() - start) / steps
        taken[stage.name] = [milliseconds(prepare(training.share.rows), training._step),
                             milliseconds(prepare(training.share.rows), lambda _: None),
                             milliseconds(prepare(None), lambda _: None)]
    print(json.dumps(taken), flush=True)


def workers(count, folder, steps):
    """Starts so many workers -> {net: three means over them}."""
    ports = []
    for _ in range(count):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    command = [sys.executable, __file__, "--folder", folder, "--steps", str(steps)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={
        **os.environ, "TF_NUM_INTRAOP_THREADS": "1", **({} if count == 1 else {"TF_CONFIG": json.dumps(
            {"cluster": cluster, "task": {"type": "worker", "index": index}})})}) for index in range(count)]
    lines = []
    for process in started:
        printed, errors = process.communicate()
        if process.returncode:
            sys.exit(f"error: a worker failed: {errors.strip().splitlines()[-1]}")
        lines.append(printed.splitlines()[-1])
    return {stage.name: [mean(values) for values in zip(*(json.loads(line)[stage.name] for line in lines))]
            for stage in CASCADE}


def main(args):
    if args.folder:
        return work(args.folder, args.steps)
    from bench.training import random_records
    with tempfile.TemporaryDirectory() as folder:
        for stage in CASCADE:
            random_records(stage, Path(folder) / stage.name, 600)
        taken = [workers(count, folder, args.steps) for count in args.workers]
    print(tables.markdown(["net", *(f"{count} worker{'s' * (count > 1)}" for count in args.workers)], [
        [stage.name, *("{:.1f} ({:.1f}, {:.1f})".format(*of[stage.name]) for of in taken)] for stage in CASCADE]))
    print()
    measure.machine()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="default: 1 2 4")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="that are timed (default: 20)")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    main(parser.parse_args())
