"""TFRecords -> batches of one stage: the exact composition, augmented anew every time.

Everything random follows from (seed, epoch, position), so the batch at a given position is the same in a training that
was stopped and resumed as in one that was not.
"""
import copy
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from config import KINDS, SHUFFLE_BYTES, Stage
from detection.errors import UserError
from detection.images import normalize
from detection.quiet_tensorflow import tf
from preprocess.records import Records
from train.augment import Augmentation, augment
from train.recipe import Recipe

READ_CYCLE = 8     # shards read in turn


def composition(stage: Stage, counts: Mapping[str, int], batch_size: int | None = None) -> dict[str, int]:
    """The stage's batch, scaled to `batch_size`: list name -> samples of it in a batch; empty lists are left out.
    UserError where the others would not all have one."""
    whole = sum(stage.batch.values())
    present = {name: n for name, n in stage.batch.items() if counts[f"{name}-train"]}
    if not present:
        raise UserError(f"there is no training sample for {stage.name}; run the preprocessing steps for "
                        f"{stage.size} again and read their warnings")
    size, least = batch_size or whole, whole // (2 * min(present.values())) + 1       # half a sample rounds to none
    if size < least:
        raise UserError(f"--batch-size {size} is too small for a sample of each kind in a batch of {stage.name}; give "
                        f"at least {least}")
    return {name: round(n * size / whole) for name, n in present.items()}


def steps_per_epoch(counts: Mapping[str, int], per_batch: Mapping[str, int]) -> int:
    """Batches in an epoch: together they hold as many samples as the lists. per_batch: list name -> number."""
    return max(sum(counts[f"{name}-train"] for name in per_batch) // sum(per_batch.values()), 1)


def part_of(stored: Records, share: float) -> Records:
    """The records of that share of the images: whole shards, as all samples of an image are in one group of shards.
    Landmark samples, whose images are others, and held-out samples stay."""
    if share == 1:
        return stored
    part = copy.copy(stored)
    part.counts, part.shards = dict(stored.counts), dict(stored.shards)
    for name in {f"{kind}-train" for kind in ("imglist", *KINDS) if kind != "landmark"} & stored.counts.keys():
        part.shards[name] = stored.shards[name][:max(round(share * len(stored.shards[name])), 1)]
        part.counts[name] = round(share * stored.counts[name])      # to a few percent: it is the length of an epoch
    return part


def training(stored: Records, per_batch: Mapping[str, int], recipe: Recipe, epoch: int, skip: int = 0,
             rows: Sequence[int] | None = None) -> tf.data.Dataset:
    """Endless batches of an epoch from position `skip` on: (images float32 (B, s, s, 3), labels, offsets, points).

    per_batch: list name -> samples in a batch. Each list is shuffled on its own, and shuffled again when exhausted.
    rows: numbers of those rows of a batch whose images are prepared, by default all; the other three hold all rows.
    """
    epoch_seed = recipe.seed * 100_003 + (epoch if recipe.reshuffle else 0)
    shuffled = SHUFFLE_BYTES // (stored.size ** 2 * 3)
    streams = []
    for index, (name, count) in enumerate(per_batch.items()):
        stream_seed = epoch_seed * 11 + index
        files = tf.data.Dataset.from_tensor_slices(stored.files(name, "train"))
        stream = files.shuffle(1024, stream_seed).interleave(
            tf.data.TFRecordDataset, cycle_length=READ_CYCLE, block_length=16)
        share = max(shuffled * count // sum(per_batch.values()), 1024)
        streams.append(stream.shuffle(share, stream_seed).repeat().batch(count, drop_remainder=True))

    finish = _finisher(recipe.decode, stored.size, recipe.augmentation, recipe.label,
                       None if rows is None else tuple(rows))
    seed = tf.constant(epoch_seed, tf.int64)
    batches = tf.data.Dataset.zip(tuple(streams)).enumerate().skip(skip)
    return batches.map(lambda position, serialized: finish(tf.stack([seed, position]), serialized),
                       num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


@lru_cache
def _finisher(decode: Callable, size: int, augmentation: Augmentation, label: Callable,
              rows: tuple[int, ...] | None) -> Callable:
    """The function (seed: two int64, serialized samples of each list) -> the rows of the batch that are wanted, traced
    once for all epochs."""
    @tf.function
    def finish(seed, serialized):
        return label(*augment(*decode(tf.concat(serialized, axis=0), size), seed, augmentation, rows))
    return finish


def validation(stored: Records, per_batch: Mapping[str, int], recipe: Recipe) -> tf.data.Dataset:
    """Batches of the held-out samples, not augmented, composed like those of training, in a fixed order.

    The list with the most samples for its share is shown once, the others are repeated. In their natural numbers, far
    more negatives than in training would make the losses favor nets that find few faces.
    """
    counts = {name: stored.counts[f"{name}-validation"] for name in per_batch}
    present = {name: n for name, n in per_batch.items() if counts[name]}
    steps = max((-(-counts[name] // n) for name, n in present.items()), default=0)
    streams = [tf.data.TFRecordDataset(stored.files(name, "validation")).repeat().batch(n)
               for name, n in present.items()]

    def finish(*serialized):
        images, *targets = recipe.decode(tf.concat(serialized, axis=0), stored.size)
        return recipe.label(normalize(tf.cast(images, tf.float32)), *targets)

    return tf.data.Dataset.zip(*streams).take(steps).map(finish).prefetch(2)
