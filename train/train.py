"""Steps 5, 9 and 13: trains P-Net (12), R-Net (24) or O-Net (48).

reads    <work>/<size>/records
writes   <model>/pnet.npz, rnet.npz or onet.npz: the weights of the epoch with the lowest validation loss;
         <work>/<size>/train/: log.csv, best.npz; <graph>/<size>: TensorBoard logs

Stopped at any moment, the same command goes on at the last checkpoint, at most a minute back, and ends in the same
weights. A change of the records or of an option starts anew.

It trains on all GPUs of the machine; on several machines where TF_CONFIG names them (docs/cluster.md). The batch is
shared among them: the loss curve is that of one.
"""
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import GRAPH, STAGES, Stage  # noqa: E402
from detection import weights  # noqa: E402
from detection.errors import UserError  # noqa: E402
from detection.files import atomic_write  # noqa: E402
from preprocess import samples  # noqa: E402
from pipeline import settings as st, step  # noqa: E402


def train(run, stored, args):
    """Trains on the stored records to the end; leaves best.npz and log.csv in the step's parts. Returns the log."""
    from detection.quiet_tensorflow import keras, tf
    from train import batches, loop, replicas
    strategy = replicas.strategy()     # first of all: it finds the other machines
    keras.utils.set_random_seed(args.seed)
    keras.mixed_precision.set_global_policy(args.precision)
    tf.config.experimental.enable_op_determinism()
    stage = STAGES[args.size]
    parts = batches.composition(stage, stored.counts, args.batch_size)
    for name in stage.batch.keys() - parts.keys():
        samples.warn_of_none(name, stage)
    initial = weights.read(args.init_from, stage) if args.init_from else None
    training = loop.Training(stage, stored, parts, run.part("train"), args.epochs, args.learning_rate, args.seed,
                             args.graph / str(args.size), args.decay_at, initial, strategy)
    replicas.require_same(strategy, [run.depends, training.epoch, training.position], "records, options or checkpoint")
    print(f"{stage.name}: {weights.parameters(stage):,} parameters, {training.steps} batches of "
          f"{sum(parts.values())} an epoch ({', '.join(f'{n} {name}' for name, n in parts.items())})")
    with stored.named_errors():
        return training.run()


def settings(stage: Stage) -> dict:
    """The values of config.py that the trained weights depend on."""
    return {**st.of_config("BLUR_SHARE", "DECAY", "GRAY_SHARE", "HARD_SHARE", "HEADS", "HEAD_INIT", "JITTER", "KINDS",
                           "LOSS_LIMIT", "MIRROR_ORDER", "MOMENTUM", "NOISE", "NOISE_SHARE", "NOISE_TILES",
                           "NORM_EPSILON", "NORM_MOMENTUM", "ERASED_SIDE", "PIXEL_MEAN", "PIXEL_SCALE", "POINTS",
                           "PRELU_INIT", "SHUFFLE_BYTES", "WARM_UP", "WEIGHT_DECAY"),
            **st.of_stage(stage, "size", "layers", "batch", "loss_weights", "giou", "random_erasing",
                          "negatives_per_positive", "color_jitter")}


def main(args):
    stage = STAGES[args.size]
    folder = args.work / str(args.size)
    args.epochs = stage.epochs if args.epochs is None else args.epochs
    args.learning_rate = stage.learning_rate if args.learning_rate is None else args.learning_rate
    args.precision = args.precision or stage.precision
    for name in ("epochs", "batch_size", "learning_rate"):
        if not getattr(args, name) > 0:
            raise UserError(f"--{name.replace('_', '-')} must be more than 0, not {getattr(args, name)}")
    from preprocess import records
    from train import replicas
    stored = records.Records(folder, args.size)
    inputs = step.digests([stored.manifest] + ([args.init_from] if args.init_from else []))
    options = {name: getattr(args, name) for name in ("seed", "epochs", "batch_size", "learning_rate", "decay_at",
                                                      "precision")}
    chief = replicas.is_chief()
    run = step.Step(folder, "train", inputs, options, settings(stage), args.force and chief)
    best = run.finished() if chief else None if args.force else run.report()     # only the chief clears what is stale
    if best is None:
        with replicas.told_when_lost():
            history = train(run, stored, args)
        best = min(history, key=lambda row: row.get("validation_total", row["total"]))
        if chief:
            run.finish(["train/best.npz", "train/log.csv"], best)
    if not chief:
        return
    target = args.model / f"{stage.name}.npz"
    with atomic_write(target) as temporary:
        shutil.copyfile(folder / "train" / "best.npz", temporary)
    for left in target.parent.glob(f"{target.name}.*.tmp"):       # by a run that was killed at this very line
        left.unlink(missing_ok=True)
    print(f"{target}: epoch {best['epoch']}, " + ", ".join(
        f"{name} {value:.4g}" for name, value in best.items() if name.startswith("validation")))


def by_size(field):
    """The stages' values of a field, in words."""
    return ", ".join(f"{getattr(stage, field)} for {size}" for size, stage in STAGES.items())


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=STAGES, help="of the net, px")
    group = arguments.add_argument_group("training")
    group.add_argument("--epochs", type=int, default=None, metavar="N",
                       help=f"passes over as many samples as there are (default: {by_size('epochs')})")
    group.add_argument("--batch-size", type=int, default=384, metavar="N",
                       help="samples a step, split among the kinds as 1:1:3:1 (default: 384)")
    group.add_argument("--learning-rate", type=float, default=None, metavar="R",
                       help=f"the highest (default: {by_size('learning_rate')})")
    group.add_argument("--decay-at", type=float, nargs="*", default=[], metavar="SHARE",
                       help="the rate falls to a tenth after these shares of the training (the ancestors: 0.2 0.467 "
                            "0.667) instead of along a half cosine to 0")
    group.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default=None,
                       help="of the arithmetic (default: the stage's in config.py)")
    group.add_argument("--init-from", type=Path, default=None, metavar="FILE",
                       help="start from these weights (.npz of this net) instead of random ones")
    group.add_argument("--graph", type=Path, default=GRAPH, metavar="DIR", help="TensorBoard logs (default: graph/)")
    step.run(main, arguments)
