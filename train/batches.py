"""TFRecords -> batches of one stage: the exact composition, mirrored and jittered anew every time.

Everything random follows from (seed, epoch, position), so the batch at a given position is the same in a run that was
stopped and went on as in one that was not.
"""
from config import SHUFFLE_BYTES, Stage
from detection.errors import UserError
from detection.images import normalize
from preprocess import records
from detection.quiet_tensorflow import tf
from train.augment import augment

READ_CYCLE = 8     # shards read in turn


def composition(stage: Stage, counts, batch_size=None):
    """List name -> samples of it in a batch: the stage's own, scaled to `batch_size`, without lists that are empty."""
    whole = sum(stage.batch.values())
    scaled = {name: round(n * (batch_size or whole) / whole) for name, n in stage.batch.items()}
    present = {name: n for name, n in scaled.items() if counts[f"{name}-train"] and n}
    if not present:
        raise UserError(f"there is no training sample for {stage.name}; run the preprocessing steps for "
                        f"{stage.size} again and read their warnings")
    return present


def steps_per_epoch(stage: Stage, counts, parts):
    """Batches that hold as many samples as there are in the lists."""
    return max(sum(counts[f"{name}-train"] for name in parts) // sum(parts.values()), 1)


def training(stored: records.Records, parts, seed, epoch, skip=0, random_erasing=0.0, color_jitter=1.0):
    """Endless batches of an epoch from position `skip` on: (images float32 (B, s, s, 3), labels, offsets, points).

    stored: the stage's records. parts: list name -> samples in a batch. Each list is shuffled on its own and comes
    round again, reshuffled, when it is through. random_erasing, color_jitter: as `augment` takes them.
    """
    epoch_seed = seed * 100_003 + epoch
    room = SHUFFLE_BYTES // (stored.size ** 2 * 3)
    streams = []
    for index, (name, count) in enumerate(parts.items()):
        stream_seed = epoch_seed * 11 + index
        files = tf.data.Dataset.from_tensor_slices(stored.files(name, "train"))
        stream = files.shuffle(1024, stream_seed).interleave(
            tf.data.TFRecordDataset, cycle_length=READ_CYCLE, block_length=16)
        share = max(room * count // sum(parts.values()), 1024)
        streams.append(stream.shuffle(share, stream_seed).repeat().batch(count, drop_remainder=True))

    def finish(position, serialised):
        images, *targets = records.decode(tf.concat(serialised, axis=0), stored.size)
        batch_seed = tf.stack([epoch_seed, tf.cast(position, tf.int64)])
        return augment(images, *targets, batch_seed, random_erasing, color_jitter)

    batches = tf.data.Dataset.zip(tuple(streams)).enumerate().skip(skip)
    return batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def validation(stored: records.Records, parts):
    """Batches of the held-out samples, as they are, composed like those of training, in a fixed order.

    The list with most samples for its share is shown once, the others come round again. Composed as they are, far more
    negatives than in training would make the losses favour nets that find few faces.
    """
    counts = {name: stored.counts[f"{name}-validation"] for name in parts}
    present = {name: n for name, n in parts.items() if counts[name]}
    steps = max((-(-counts[name] // n) for name, n in present.items()), default=0)
    streams = [tf.data.TFRecordDataset(stored.files(name, "validation")).repeat().batch(n)
               for name, n in present.items()]

    def finish(*serialised):
        images, *targets = records.decode(tf.concat(serialised, axis=0), stored.size)
        return normalize(tf.cast(images, tf.float32)), *targets

    return tf.data.Dataset.zip(*streams).take(steps).map(finish).prefetch(2)
