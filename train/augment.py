"""Samples as they could have been: mirrored, in another light, blurred, noisy, partly hidden; anew every time.

All is drawn from the batch's seed. Written to touch the pixels of a batch as few times as possible: with small nets
this can take as long as the training step.
"""
import numpy as np

from config import (BLUR_SHARE, GRAY_SHARE, JITTER, NOISE, NOISE_SHARE, NOISE_TILES, ERASED_SIDE, PIXEL_MEAN,
                    PIXEL_SCALE)
from detection.boxes import MIRROR_OFFSETS, MIRROR_POINTS, MIRROR_SHIFT
from detection.images import normalize
from detection.quiet_tensorflow import tf

DARKEST, BRIGHTEST = normalize(0.0), normalize(255.0)


def augment(images, labels, offsets, points, seed, random_erasing=0.0, color_jitter=1.0):
    """uint8 (B, s, s, 3) and targets -> normalised float32 images, mirrored in half of the cases, and their targets.

    seed: two int64. random_erasing: share of the images that lose a rectangle. color_jitter: strength of `relight`.
    """
    seeds = tf.random.experimental.stateless_split(seed, 5)
    images, offsets, points = mirror(images, offsets, points, coin(seeds[0], tf.shape(images)[0]))
    images = relight(images, seeds[1], color_jitter)
    images = some(images, seeds[2], BLUR_SHARE, blur)
    images = tf.clip_by_value(some(images, seeds[3], NOISE_SHARE, add_noise), DARKEST, BRIGHTEST)
    return some(images, seeds[4], random_erasing, hide), labels, offsets, points


def some(images, seed, share, change):
    """Images (B, s, s, 3) with `change` (images, seed) made to that share of them, at that share of its cost."""
    if not share:
        return images
    seeds = tf.random.experimental.stateless_split(seed, 3)
    count = tf.shape(images)[0]
    number = tf.cast(share * tf.cast(count, tf.float32) + tf.random.stateless_uniform([], seeds[0]), tf.int32)
    chosen = tf.random.experimental.stateless_shuffle(tf.range(count), seeds[1])[:number, None]
    return tf.tensor_scatter_nd_update(images, chosen, change(tf.gather(images, chosen[:, 0]), seeds[2]))


def coin(seed, count):
    """(count,) bool, each true in half of the cases."""
    return tf.random.stateless_uniform([count], seed) < 0.5


def mirror(images, offsets, points, flips):
    """Images (B, s, s, 3) with their targets mirrored where flips (B,) is true."""
    size = images.shape[1]
    mirrored = tf.reshape(tf.reverse(tf.reshape(images, [-1, size, 3]), [1]), [-1, size, size, 3])

    def choose(mirrored, plain):       # whole rows at a time: fifteen times as fast as tf.where, which broadcasts
        return tf.raw_ops.Select(condition=flips, x=mirrored, y=plain)

    return (choose(mirrored, images), choose(offsets @ MIRROR_OFFSETS, offsets),
            choose(points @ MIRROR_POINTS + MIRROR_SHIFT, points))


def relight(images, seed, strength=1.0):
    """uint8 (B, s, s, 3) -> normalised, each with another brightness, contrast, saturation and tint, some in gray.

    All of them are one affine map of a pixel's three values: one product with a 3 x 3 matrix an image. strength: of
    JITTER and GRAY_SHARE.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform([7, count, 1, 1], seed, -1.0, 1.0)
    saturation, contrast, brightness = (strength * JITTER[name] * draws[i] for i, name in enumerate(
        ("saturation", "contrast", "brightness")))                                             # (B, 1, 1)
    tint = strength * JITTER["tint"] * tf.concat(tf.unstack(draws[4:7]), axis=2)               # (B, 1, 3)
    gray = (draws[3] + 1) / 2 < strength * GRAY_SHARE
    saturation, contrast = tf.where(gray, 0.0, 1 + saturation), 1 + contrast
    matrix = contrast * (saturation * tf.eye(3) + (1 - saturation) / 3)                        # (B, 3, 3)
    shift = PIXEL_MEAN * (1 - contrast) + brightness + tint
    pixels = tf.reshape(tf.cast(images, tf.float32), [count, size * size, 3])
    return tf.reshape(pixels @ (matrix * PIXEL_SCALE) + normalize(shift), [count, size, size, 3])


def blur(images, seed):
    """Normalised (B, s, s, 3), each blurred more or less over 3 x 3 pixels, as poor cameras do."""
    strength = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
    return images + strength * (tf.nn.avg_pool2d(images, 3, 1, "SAME") - images)     # edges: the average of what is


def add_noise(images, seed):
    """Normalised (B, s, s, 3), each with normal noise of up to NOISE, as of poor cameras and JPEG.

    The noise is one of NOISE_TILES patterns, drawn once: to draw it for each batch takes longer than all the rest.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    patterns = tf.constant(np.random.default_rng(0).standard_normal((NOISE_TILES, size, size, 3), np.float32))
    draws = tf.random.stateless_uniform([2, count], seed)
    strength = NOISE * PIXEL_SCALE * draws[0][:, None, None, None]
    return images + strength * tf.gather(patterns, tf.cast(draws[1] * NOISE_TILES, tf.int32))


def hide(images, seed):
    """Normalised (B, s, s, 3), on each a rectangle of ERASED_SIDE of the side at a random place, of one colour."""
    count, size = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform([7, count, 1], seed)
    side = ERASED_SIDE[0] + draws[0:2] * (ERASED_SIDE[1] - ERASED_SIDE[0])     # (2, B, 1) of the crop's side
    start = draws[2:4] * (1 + side) - side                                             # may begin outside
    place = (tf.range(size, dtype=tf.float32) + 0.5) / size                            # (s,)
    within = (place >= start) & (place < start + side)                                 # (2, B, s)
    hidden = (within[0][:, :, None] & within[1][:, None, :])[..., None]                # (B, s, s, 1)
    colour = normalize(tf.transpose(draws[4:7, :, 0])[:, None, None] * 255.0)          # (B, 1, 1, 3)
    return tf.where(hidden, colour, images)
