"""TFRecords -> batches of one stage: the exact composition, mirrored and jittered anew every time.

Everything random follows from (seed, epoch, position), so the batch at a given position is the same in a run that was
stopped and went on as in one that was not.
"""
from config import (BLUR_SHARE, GRAY_SHARE, JITTER, NOISE, NOISE_SHARE, OCCLUSION_SIDE, PIXEL_MEAN, SHUFFLE_BYTES,
                    Stage)
from detection.boxes import MIRROR_OFFSETS, MIRROR_POINTS, MIRROR_SHIFT
from detection.errors import UserError
from detection.images import normalise
from preprocess import records
from preprocess.quiet_tensorflow import tf

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


def training(stored: records.Records, parts, seed, epoch, skip=0, occlusion=0.0):
    """Endless batches of an epoch from position `skip` on: (images float32 (B, s, s, 3), labels, offsets, points).

    stored: the stage's records. parts: list name -> samples in a batch. Each list is shuffled on its own and comes
    round again, reshuffled, when it is through. occlusion: share of the samples of which something is hidden.
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
        return augment(tf.cast(images, tf.float32), *targets, batch_seed, occlusion)

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
        return normalise(tf.cast(images, tf.float32)), *targets

    return tf.data.Dataset.zip(*streams).take(steps).map(finish).prefetch(2)


def augment(images, labels, offsets, points, seed, occlusion=0.0):
    """Pixels float 0..255 (B, s, s, 3) and targets -> normalised; half of them mirrored, each in another light, some
    blurred, noisy or partly hidden."""
    seeds = tf.random.experimental.stateless_split(seed, 5)
    images, offsets, points = mirror(images, offsets, points, coin(seeds[0], tf.shape(images)[0]))
    images = degrade(jitter(images, seeds[1]), seeds[2], seeds[3])
    if occlusion:
        images = occlude(images, seeds[4], occlusion)
    return normalise(images), labels, offsets, points


def coin(seed, count, share=0.5):
    """(count,) bool, each true in that share of the cases."""
    return tf.random.stateless_uniform([count], seed) < share


def mirror(images, offsets, points, flips):
    """Images (B, s, s, 3) with their targets mirrored where flips (B,) is true."""
    def choose(mirrored, plain):
        return tf.where(tf.reshape(flips, [-1] + [1] * (len(plain.shape) - 1)), mirrored, plain)

    return (choose(images[:, :, ::-1], images), choose(offsets @ MIRROR_OFFSETS, offsets),
            choose(points @ MIRROR_POINTS + MIRROR_SHIFT, points))


def jitter(images, seed):
    """Pixels 0..255 (B, s, s, 3) with another brightness, contrast, saturation and tint each, some in gray."""
    draws = tf.random.stateless_uniform([7, tf.shape(images)[0], 1, 1, 1], seed, -1.0, 1.0)
    tint = tf.concat(tf.unstack(draws[4:7]), axis=3)                             # (B, 1, 1, 3)
    saturation = tf.where(draws[3] < 2 * GRAY_SHARE - 1, 0.0, 1 + JITTER["saturation"] * draws[0])
    gray = tf.reduce_mean(images, axis=3, keepdims=True)
    images = gray + (images - gray) * saturation
    images = PIXEL_MEAN + (images - PIXEL_MEAN) * (1 + JITTER["contrast"] * draws[1])
    return tf.clip_by_value(images + JITTER["brightness"] * draws[2] + JITTER["tint"] * tint, 0.0, 255.0)


def degrade(images, seed, noise_seed):
    """Pixels (B, s, s, 3), some of them blurred over 3 x 3 pixels, some with noise: what poor cameras and JPEG do."""
    draws = tf.random.stateless_uniform([3, tf.shape(images)[0], 1, 1, 1], seed)
    edges = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    share = tf.where(draws[0] < BLUR_SHARE, draws[1], 0.0)
    images += share * (tf.nn.avg_pool2d(edges, 3, 1, "VALID") - images)
    strength = tf.where(draws[2] < NOISE_SHARE, NOISE * draws[2] / NOISE_SHARE, 0.0)
    return tf.clip_by_value(images + strength * tf.random.stateless_normal(tf.shape(images), noise_seed), 0.0, 255.0)


def occlude(images, seed, share):
    """Pixels (B, s, s, 3); in that share of them a rectangle of OCCLUSION_SIDE of the side lies at a random place, of
    one random colour."""
    count, size = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform([8, count, 1], seed)
    side = OCCLUSION_SIDE[0] + draws[0:2] * (OCCLUSION_SIDE[1] - OCCLUSION_SIDE[0])     # (2, B, 1) of the crop's side
    start = draws[2:4] * (1 + side) - side                                             # may begin outside
    place = (tf.range(size, dtype=tf.float32) + 0.5) / size                            # (s,)
    within = (place >= start) & (place < start + side)                                 # (2, B, s)
    hidden = (within[0][:, :, None] & within[1][:, None, :] & (draws[4] < share)[:, :, None])[..., None]
    colour = tf.transpose(draws[5:8, :, 0])[:, None, None] * 255.0                     # (B, 1, 1, 3)
    return tf.where(hidden, colour, images)
