"""Steps 5, 9 and 13: trains P-Net (12), R-Net (24) or O-Net (48).

reads    <work>/<size>/records; with --tiles <work>/12/tiles/records
writes   <model>/pnet.npz, rnet.npz or onet.npz: the weights of the epoch with the lowest validation loss (training
         loss, where the held-out samples lack a kind); a training that is done already keeps a file that is there;
         <work>/<size>/train/, with --tiles <work>/12/tiles/train/: log.csv, best.npz; <graph>/<size>: TensorBoard logs

Stopped at any moment, the same command resumes at the last checkpoint, at most a minute back, and ends in the same
weights. After a change of the records, of an option or of a setting in config.py it starts anew.

It trains on all GPUs of the machine, and on several machines where TF_CONFIG names them (docs/cluster.md). The batch is
shared among them, so the loss curve is that of one.
"""
import argparse
import ctypes
import filecmp
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import GRAPH, PNET, STAGES, TILE, Stage
from detection import weights
from detection.errors import UserError
from detection.files import atomic_write
from pipeline import settings as st
from pipeline import step
from preprocess import samples

if TYPE_CHECKING:
    from preprocess.records import Records
    from train.recipe import Recipe


M_ARENA_MAX = -8       # of mallopt, in malloc.h of the GNU C library


def use_one_heap() -> None:
    """Threads that start from now on allocate from the heaps that exist. By default each has one of its own; samples
    that one thread reads and another frees would leave holes in all of them, a hundred MB more in each epoch."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):      # musl has no such heaps
        libc.mallopt(M_ARENA_MAX, 1)


def fit(recipe: "Recipe", run: step.Step, stored: "Records", graph: Path) -> list[dict[str, float]]:
    """Trains to the last epoch; leaves best.npz and log.csv in the step's parts. Returns the log: one row per epoch."""
    use_one_heap()
    from detection.quiet_tensorflow import keras, tf
    from train import loop, precision, replicas
    from train.recipe import unchanged
    strategy = replicas.strategy()     # first of all: it finds the other machines
    if recipe.label is not unchanged and strategy.num_replicas_in_sync > 1:
        raise UserError("--tiles trains on one device: hide the others with CUDA_VISIBLE_DEVICES, and unset TF_CONFIG")
    keras.utils.set_random_seed(recipe.seed)
    policy = precision.policy(recipe.precision)
    keras.mixed_precision.set_global_policy(policy)
    tf.config.experimental.enable_op_determinism()
    training = loop.Training(recipe, stored, run.part("train"), graph, strategy)
    if not stored.validates:
        print("the held-out samples lack a kind, so the weights of the epoch with the lowest training loss are kept")
    if not stored.landmarks:
        print(f"{recipe.stage.name} is trained without landmarks: its weights hold zeros for them")
    for name in recipe.stage.batch.keys() - training.per_batch.keys() - (set() if stored.landmarks else {"landmark"}):
        samples.warn_of_none(name, recipe.stage)
    replicas.require_same(strategy, [run.depends, training.epoch, training.position], "records, options or checkpoint")
    per_batch = training.per_batch
    print(f"{recipe.stage.name}: {weights.parameters(recipe.stage):,} parameters, {training.steps} batches of "
          f"{sum(per_batch.values())} per epoch ({', '.join(f'{n} {name}' for name, n in per_batch.items())}), "
          f"in {policy}")
    return training.run()


def settings(stage: Stage) -> dict:
    """The values of config.py that the trained weights depend on."""
    return {**st.of_config("AVERAGE_SHARE", "BLUR_SHARE", "BORDER_VISIBLE", "DECAY", "ERASED_SIDE", "EXPOSURE",
                           "GRAY_SHARE", "HARD_SHARE", "HEADS", "HEAD_INIT", "JITTER", "JPEG_QUALITY", "KINDS",
                           "LAST_AVERAGE", "LAST_EPOCHS", "LAST_GIOU", "LAST_RATE", "LAST_WEIGHTS", "LEAST_DISTANCE",
                           "LOSS_LIMIT", "MIRROR_ORDER", "MOMENTUM", "NEGATIVE_IOU", "NOISE", "NOISE_SHARE",
                           "NOISE_TILES", "NORM_EPSILON", "NORM_MOMENTUM", "OWN_BOX_IOU", "PIXEL_MEAN", "PIXEL_SCALE",
                           "PNET_STRIDE", "POINTS", "POSITIVE_IOU", "PRELU_INIT", "ROBUST", "SHUFFLE_BYTES",
                           "TEACHER_SHARE", "TEACHER_TARGETS", "TEACHER_WEIGHT", "TILE", "TILE_AVERAGE", "TILE_BATCH",
                           "TILE_EPOCHS", "TILE_FACES", "TILE_HARD_SHARE", "TILE_RATE", "WARM_UP", "WEIGHT_DECAY"),
            **st.of_stage(stage, "size", "layers", "heads", "batch", "loss_weights", "giou", "random_erasing",
                          "negatives_per_positive", "color_jitter", "part_iou")}


def train(recipe: "Recipe", stored: "Records", folder: Path, model: Path, graph: Path, force: bool = False) -> None:
    """The step of one training in `folder`; the weights go to the folder `model`, logs of TensorBoard to `graph`."""
    from train import batches, replicas
    inputs = step.digests([stored.manifest, *filter(None, (recipe.init_from,))])
    if recipe.teacher:
        inputs["teacher"] = step.digest(recipe.teacher)
    batches.composition(recipe.stage, stored.counts, recipe.batch_size)    # an error costs nothing of an earlier run
    for path in filter(None, (recipe.init_from, recipe.teacher)):
        weights.read(path, recipe.stage)
    trained, target = folder / "train" / "best.npz", model / f"{recipe.stage.name}.npz"
    chief = replicas.is_chief()
    run = step.Step(folder, "train", inputs, recipe.options(), settings(recipe.stage), force and chief)
    best = run.finished() if chief else None if force else run.report()     # only the chief clears what is stale
    if best is None:
        with replicas.lost_worker_is_user_error(), stored.named_errors():
            history = fit(recipe, run, stored, graph)
        from train.loop import judged
        best = min(history, key=lambda row: judged(row, stored))
        if chief:
            part = run.part("train/best.npz")       # moved to its place where a run was killed while it finished
            copy(part if part.exists() else trained, target)       # first: until then the step is not done
            run.finish(["train/best.npz", "train/log.csv"], best)
    elif chief and not target.is_file():
        copy(trained, target)
    if not chief:
        return
    if not filecmp.cmp(trained, target, shallow=False):
        print(f"{target}: holds other weights than {trained}, written there since or by another training, and is kept; "
              "remove it and run this again to have those of this training")
        return
    print(f"{target}: epoch {best['epoch']}, " + ", ".join(
        f"{name} {value:.4g}" for name, value in best.items() if name.startswith("validation")))


def copy(weights_file: Path, target: Path) -> None:
    """Copies a file, whole or not at all."""
    with atomic_write(target) as temporary:
        shutil.copyfile(weights_file, temporary)
    for left in target.parent.glob(f"{target.name}.*.tmp"):       # by a process that was killed at this very line
        left.unlink(missing_ok=True)


def main(args: argparse.Namespace) -> None:
    for name in ("epochs", "batch_size", "learning_rate"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise UserError(f"--{name.replace('_', '-')} must be more than 0, not {value}")
    if not all(low <= high for low, high in zip((0, *args.decay_at), (*args.decay_at, 1))):
        raise UserError("--decay-at must be shares of the training from 0 to 1 in rising order, not "
                        + " ".join(f"{share:g}" for share in args.decay_at))
    if args.last_round and args.teacher:
        raise UserError("--last-round goes without --teacher, as the net's own boxes say what is a face; leave one out")
    from preprocess.records import Records
    from train.recipe import last_round, standard
    stage = STAGES[args.size]
    folder, recipe = args.work / str(args.size), last_round(stage) if args.last_round else standard(stage)
    if args.tiles:
        if args.size != PNET.size or args.teacher:
            raise UserError(f"--tiles is for {PNET.size}, as only P-Net is fully convolutional, and without --teacher, "
                            "as tiles have labels alone; leave it out")
        from train import tiles
        folder, recipe = folder / "tiles", tiles.recipe(args.last_round)
        stored = Records(folder, TILE, "gen_tiles.py")
    else:
        stored = Records(folder, args.size)
    names = ("epochs", "batch_size", "learning_rate", "precision", "init_from", "teacher")
    chosen = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    recipe = replace(recipe, seed=args.seed, decay_at=tuple(args.decay_at), **chosen)
    if args.robust and not args.tiles:
        from train.augment import robust
        recipe = replace(recipe, augmentation=robust(recipe.augmentation))
    if args.teacher:
        recipe = replace(recipe, augmentation=replace(recipe.augmentation, keep_plain=True))
    train(recipe, stored, folder, args.model, args.graph / str(args.size), args.force)


def by_size(field: str) -> str:
    """The stages' values of a field, in words, for --help."""
    return ", ".join(f"{getattr(stage, field)} for {size}" for size, stage in STAGES.items())


if __name__ == "__main__":
    arguments = step.parser(__doc__, *step.ALONE)
    arguments.add_argument("size", type=int, choices=STAGES, help="input size of the net, px")
    group = arguments.add_argument_group("training")
    group.add_argument("--epochs", type=int, default=None, metavar="N",
                       help=f"each passes over as many samples as the lists hold (default: {by_size('epochs')})")
    group.add_argument("--batch-size", type=int, default=None, metavar="N",
                       help="samples per step, split among the kinds in the stage's proportions (default: 384)")
    group.add_argument("--learning-rate", type=float, default=None, metavar="R",
                       help=f"the highest learning rate (default: {by_size('learning_rate')})")
    group.add_argument("--decay-at", type=float, nargs="*", default=[], metavar="SHARE",
                       help="the learning rate falls to a tenth after these shares of the training (the baselines: 0.2 "
                            "0.467 0.667) instead of to 0 by cosine decay")
    group.add_argument("--precision", choices=("float32", "mixed_bfloat16", "auto"), default=None,
                       help="of the arithmetic; auto is mixed_bfloat16 where the processor or GPU computes in it, else "
                            f"float32 (default: {by_size('precision')})")
    group.add_argument("--init-from", type=Path, default=None, metavar="FILE",
                       help="warm start: begin with these weights (.npz of this net) instead of random ones")
    group.add_argument("--robust", action="store_true",
                       help="stronger augmentation of color, light, detail and image borders, for a further round")
    group.add_argument("--teacher", type=Path, default=None, metavar="FILE",
                       help="weights (.npz of this net) whose answers to the plain samples soften the targets, so that "
                            "a further round with --robust keeps what they can")
    group.add_argument("--last-round", action="store_true",
                       help="for a round on what the cascade mines at --thresholds 0.5 0.5: the face target follows "
                            "the IoU of the predicted box, landmarks are measured by their distance")
    group.add_argument("--tiles", action="store_true",
                       help="12 only: train on the tiles of gen_tiles.py, best from trained weights with --init-from")
    group.add_argument("--graph", type=Path, default=GRAPH, metavar="DIR", help="TensorBoard logs (default: graph/)")
    step.run(main, arguments)
