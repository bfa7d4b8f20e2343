"""What is each part of the recipe worth? Trains one net with one thing changed at a time, measures each on WIDER FACE.

reads    <work>/<size>/records; the two other nets in <model>; what evaluate/wider.py reads in <data>; for changes
         of the lists also <work>/<size>/*.txt and the photographs below <data>
writes   <out>/<size>-<change>-<seed>/: weights and wider.json; <out>/<size>-<change>/: the lists and records of a
         change of the lists; prints the mean AP of each change as a markdown table

A training that is done is not done again, so changes and seeds may be added. Changes that bring back a defect of the
ancestors say so. One after the other: trainings side by side would take turns on the same cores.

With --photos, as for a learning curve, samples come from a part of the WIDER FACE photographs. An epoch is that much
shorter, so give as many times the epochs.

    python experiments/ablation.py 24 --data DATA --work WORK --epochs 2 --seeds 0 1
    python experiments/ablation.py 24 --data DATA --work WORK --epochs 8 --changes none --photos 0.25
"""
import dataclasses
import functools
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

import config  # noqa: E402
from detection.errors import UserError  # noqa: E402
from pipeline import step  # noqa: E402
from experiments import ablation_lists  # noqa: E402
from evaluate import benchmark, wider_truth  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


def stage(**fields):
    """A change of the net's own settings."""
    def change(size):
        config.STAGES[size] = dataclasses.replace(config.STAGES[size], **fields)
    return change


def constants(**values):
    """A change of numbers of config.py."""
    def change(size):
        for name, value in values.items():
            assert hasattr(config, name), name
            setattr(config, name, value)
    return change


def options(*words):
    """A change of the command line of train/train.py."""
    return lambda size: list(map(str, words))


def offsets_not_mirrored(size):
    """Defect of both ancestors: the picture is mirrored, the target is not."""
    from detection import boxes
    boxes.MIRROR_OFFSETS = np.eye(4, dtype=np.float32)


def jpeg_crops(size):
    """Defect of both ancestors: crops are kept as JPEG, targets with two decimals."""
    from preprocess import records
    from detection.quiet_tensorflow import tf
    decode = records.decode

    def worse(serialised, side):
        images, labels, offsets, points = decode(serialised, side)
        crops = tf.map_fn(lambda image: tf.image.adjust_jpeg_quality(image, 95), images)
        return tf.ensure_shape(crops, images.shape), labels, tf.round(offsets * 100) / 100, tf.round(points * 100) / 100
    records.decode = worse


def wide_landmark_crops(size):
    """Defect of both ancestors: landmark crops are a pixel wider than the width that their points are divided by."""
    from preprocess import records
    from detection.quiet_tensorflow import tf
    decode = records.decode

    def worse(serialised, side):
        images, labels, offsets, points = decode(serialised, side)
        return images, labels, offsets, tf.where(labels[:, None] == config.LANDMARK, points * (1 + 1 / side), points)
    records.decode = worse


def one_order(size):
    """Defect of ancestor L: the samples come in the same order in every epoch."""
    from train import batches
    training = batches.training
    batches.training = lambda stored, parts, seed, epoch, *rest: training(stored, parts, seed, 0, *rest)


def move(images, offsets, points, seed, shift=0.05, zoom=0.05, turn=np.radians(5)):
    """uint8 (B, s, s, 3) and targets -> the same, half of them shifted (shares of the side), zoomed (share) and turned
    (radians) around the centre of the box by up to that. Boxes stay upright; what a crop lacks repeats its edge."""
    from detection.quiet_tensorflow import tf
    count, size = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform([5, count, 1], seed, -1.0, 1.0)
    draws *= tf.cast(draws[4] < 0, tf.float32)
    by, scale, angle = shift * tf.concat([draws[0], draws[1]], axis=1), 1 + zoom * draws[2], turn * draws[3]
    across, up = scale * tf.cos(angle), scale * tf.sin(angle)                                    # (B, 1)
    matrix = tf.reshape(tf.concat([across, -up, up, across], axis=1), [-1, 2, 2])
    begin, end = offsets[:, :2], 1 + offsets[:, 2:]
    centre, half = (begin + end) / 2, scale * (end - begin) / 2

    def moved(places):       # (B, P, 2), in sides of the crop
        return tf.matmul(places - centre[:, None], matrix, transpose_b=True) + (centre + by)[:, None]

    back = tf.linalg.inv(matrix)                  # an output pixel's place -> where in the picture it is read
    middle = size * centre - 0.5                  # the centre, in pixels counted from the middle of the first
    first = middle - tf.linalg.matvec(back, middle + size * by)
    rows = tf.concat([tf.concat([back, first[..., None]], axis=2), tf.zeros([count, 1, 3])], axis=1)
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=tf.reshape(rows, [count, 9])[:, :8], output_shape=[size, size], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="NEAREST")
    offsets = tf.concat([centre + by - half, centre + by + half - 1], axis=1)
    return images, offsets, tf.reshape(moved(tf.reshape(points, [count, -1, 2])), tf.shape(points))


def moved_anew(size):
    """Crops are shifted, zoomed and turned anew every time, on top of how the lists draw them."""
    from train import batches
    augment = batches.augment

    def anew(images, labels, offsets, points, seed, *rest):
        images, offsets, points = move(images, offsets, points, seed)
        return augment(images, labels, offsets, points, seed, *rest)
    batches.augment = anew


def smooth_labels(size, share=0.1):
    """Label smoothing: Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7."""
    from train import losses
    from detection.quiet_tensorflow import tf

    def face(logits, labels):
        target = tf.one_hot(tf.cast(labels == config.POSITIVE, tf.int32), 2, 1 - share / 2, share / 2)
        return losses.hardest(tf.nn.softmax_cross_entropy_with_logits(target, logits),
                              losses.mask(labels, config.POSITIVE, config.NEGATIVE))
    losses.face = face


def box_weight(size, weight=2.0):
    """More weight for the box loss, as the last round of the weights that ship had it (model/RUNS.md)."""
    stage(loss_weights={**config.STAGES[size].loss_weights, "box": weight})(size)


def no_normalisation(size):
    """As the ancestors: biases instead; at a rate that this bears."""
    from train import layers, nets
    nets.NORM_EPSILON = 0.0
    layers.Norm.call = lambda self, x, training=False: x + self.beta
    return ["--learning-rate", "0.02"]


def landmark_faces(size):
    """Landmark samples are positives of the face loss, too."""
    from train import losses
    from detection.quiet_tensorflow import tf
    face, share = losses.face, config.STAGES[size].batch
    losses.face = lambda logits, labels: face(logits, tf.where(labels == config.LANDMARK, tf.constant(
        config.POSITIVE, labels.dtype), labels))
    stage(negatives_per_positive=share["negative"] / (share["positive"] + share["landmark"]))(size)


def averaged_weights(size, momentum=0.999):
    """The weights' moving average is kept: Polyak, Juditsky, "Acceleration of Stochastic Approximation", 1992."""
    from train import loop
    from detection.quiet_tensorflow import keras
    keras.optimizers.SGD = functools.partial(keras.optimizers.SGD, use_ema=True, ema_momentum=momentum)
    end_epoch = loop.Training._end_epoch

    def end(self, epoch):
        if epoch + 1 == self.epochs:
            self.optimizer.finalize_variable_values(self.model.trainable_variables)
        end_epoch(self, epoch)
    loop.Training._end_epoch = end


ANCESTORS = (constants(BLUR_SHARE=0.0, NOISE_SHARE=0.0),      # before others load what reads them
             stage(color_jitter=0.0, random_erasing=0.0, negatives_per_positive=1.0, giou=0.0),
             offsets_not_mirrored, jpeg_crops, wide_landmark_crops,
             no_normalisation)


def ancestors(size):
    """The training of ancestor A on these samples: its defects, no augmentation but mirroring, rate in steps."""
    words = [change(size) or [] for change in ANCESTORS]
    return sum(words, []) + ["--decay-at", "0.2", "0.467", "0.667"]


CHANGES = {
    "none": lambda size: None,
    "as the ancestors train": ancestors,
    "no normalisation": no_normalisation,
    "boxes not mirrored": offsets_not_mirrored,
    "no jitter of light and colour": stage(color_jitter=0.0),
    "crops through JPEG": jpeg_crops,
    "wide landmark crops": wide_landmark_crops,
    "the same order every epoch": one_order,
    "moved anew every time": moved_anew,
    "rate falls in steps": options("--decay-at", 0.2, 0.467, 0.667),
    "nothing blurred or noisy": constants(BLUR_SHARE=0.0, NOISE_SHARE=0.0),
    "nothing hidden": stage(random_erasing=0.0),
    "all face losses count": constants(HARD_SHARE=1.0),
    "hardest half of the face losses": constants(HARD_SHARE=0.5),
    "no weight decay": constants(WEIGHT_DECAY=0.0),
    "scores at the odds of the batch": stage(negatives_per_positive=1.0),
    "landmark samples are faces": landmark_faces,
    "batches of 768": options("--batch-size", 768),
    "averaged weights": averaged_weights,
    "label smoothing": smooth_labels,
    "no IoU loss": stage(giou=0.0),
    "box loss weighs four times as much": box_weight,
    "bfloat16": options("--precision", "mixed_bfloat16"),
    **dict.fromkeys(ablation_lists.CHANGES, lambda size: None),
}


def folder(args, change, seed):
    """Where a training and its figures are kept."""
    part = "" if args.photos == 1 else f"-{args.photos:g}"
    return args.out / f"{args.size}-{change.replace(' ', '-')}{part}-{seed}"


def samples_of(args, change):
    """The work folder whose records a change is trained on."""
    if change in ablation_lists.CHANGES:
        return args.out / f"{args.size}-{change.replace(' ', '-')}"
    return args.work


def one(args):
    """What a started process does: changes one thing, then runs train/train.py as a user would."""
    work = folder(args, args.one, args.seed)
    (work / str(args.size)).mkdir(parents=True, exist_ok=True)
    for name in ("records", "records.json"):
        link = work / str(args.size) / name
        if not link.is_symlink():
            link.symlink_to((samples_of(args, args.one) / str(args.size) / name).resolve())
    extra = CHANGES[args.one](args.size) or []
    if args.photos < 1:
        fewer_photos(args.photos)
    sys.argv = ["train/train.py", str(args.size), "--work", str(work), "--model", str(work), "--seed", str(args.seed),
                "--graph", str(work / "graph"), "--epochs", str(args.epochs), *extra]
    runpy.run_path(str(ROOT / "train" / "train.py"), run_name="__main__")


def fewer_photos(share):
    """Leaves that share of the shards of each list, and so of the photos: a photo's samples are all in one."""
    from preprocess import records

    class Fewer(records.Records):
        def __init__(self, *where):
            super().__init__(*where)
            for name in {f"{kind}-train" for kind in ("imglist", *config.KINDS) if kind != "landmark"} & {*self.counts}:
                self._shards[name] = self._shards[name][:max(round(share * len(self._shards[name])), 1)]
                self.counts[name] = round(share * self.counts[name])      # to a few per cent: it is an epoch's length
    records.Records = Fewer


def measure(args, change, seed):
    """Trains with this change and seed, where it was not done yet, and measures -> [AP of each set]."""
    work = folder(args, change, seed)
    where = ["--data", args.data, "--work", args.work, "--model", args.model]
    if change in ablation_lists.CHANGES:
        lists = samples_of(args, change)
        ablation_lists.write(change, args, lists / str(args.size))
        run([ROOT / "preprocess" / "gen_tfrecords.py", args.size, *where[:2], "--work", lists])
    run([__file__, args.size, *where, "--out", args.out, "--epochs", args.epochs, "--photos", args.photos,
         "--one", change, "--seed", seed])
    for other in config.CASCADE:
        if other.size != args.size:
            shutil.copyfile(args.model / f"{other.name}.npz", work / f"{other.name}.npz")
    result = work / "wider.json"
    run([ROOT / "train" / "evaluate_wider.py", "--data", args.data, "--model", work, "--out", work / "wider",
         "--json", result])
    return benchmark.aps(json.loads(result.read_text())["sets"])


def run(words):
    """Runs a script; leaves with its exit code where it fails."""
    done = subprocess.run([sys.executable, *map(str, words)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main(args):
    if not 0 < args.photos <= 1:
        raise UserError(f"--photos must be more than 0 and at most 1, not {args.photos:g}")
    if args.one:
        return one(args)
    rows = {change: [measure(args, change, seed) for seed in args.seeds] for change in args.changes}
    spread = ["spread"] if len(args.seeds) > 1 else []
    print(benchmark.markdown(["change", *wider_truth.SETS, *spread], {
        change: [*np.mean(values, axis=0), *(np.ptp(values, axis=0).max() for _ in spread)]
        for change, values in rows.items()}))


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=config.STAGES, help="of the net that is trained anew, px")
    group = arguments.add_argument_group("ablation")
    group.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES), metavar="NAME",
                       help="of " + "; ".join(CHANGES) + " (default: all)")
    group.add_argument("--seeds", nargs="+", type=int, default=[0, 1], metavar="N", help="default: 0 1")
    group.add_argument("--epochs", type=int, default=2, metavar="N", help="of each training (default: 2)")
    group.add_argument("--photos", type=float, default=1, metavar="SHARE",
                       help="share of the WIDER FACE photographs to train on, more than 0 (default: 1)")
    group.add_argument("--out", type=Path, default=config.OUTPUT / "ablation", metavar="DIR",
                       help="gets a folder a training (default: output/ablation)")
    group.add_argument("--one", choices=CHANGES, help="only train, with this change (used by the script itself)")
    step.run(main, arguments)
