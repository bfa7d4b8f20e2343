"""Augmentation: samples mirrored, with other colors, blurred, noisy, partly erased; sampled anew for every batch.

Everything random follows from the batch's seed. The operations touch the pixels of a batch as few times as possible:
with small nets this can take as long as the training step.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from config import BLUR_SHARE, ERASED_SIDE, GRAY_SHARE, JITTER, NOISE, NOISE_SHARE, NOISE_TILES, PIXEL_MEAN, PIXEL_SCALE
from detection.boxes import MIRROR_OFFSETS, MIRROR_SHIFT, MIRROR_SIGN, MIRROR_TAKE
from detection.images import normalize
from detection.quiet_tensorflow import tf

DARKEST, BRIGHTEST = normalize(0.0), normalize(255.0)


def coin(seed: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """(count,) bool, each true in half of the cases."""
    return tf.random.stateless_uniform([count], seed) < 0.5


def mirror(images: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor, flips: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Images (B, s, s, 3), offsets (B, 4), points (B, 2P), NaN where one is not labeled -> the same, mirrored where
    flips (B,) is true."""
    size = images.shape[1]
    mirrored = tf.reshape(tf.reverse(tf.reshape(images, [-1, size, 3]), [1]), [-1, size, size, 3])

    def choose(mirrored, plain):       # whole rows at a time: fifteen times as fast as tf.where, which broadcasts
        return tf.raw_ops.Select(condition=flips, x=mirrored, y=plain)

    return (choose(mirrored, images), choose(offsets @ MIRROR_OFFSETS, offsets),
            choose(tf.gather(points, MIRROR_TAKE, axis=1) * MIRROR_SIGN + MIRROR_SHIFT, points))


def unmoved(images: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Images, offsets, points -> the same: the lists shift, zoom and rotate the crops already."""
    return images, offsets, points


@dataclass(frozen=True)
class Augmentation:
    """The settings of `augment`. Shares are of the samples."""
    color_jitter: float                              # strength of jitter and of gray_share
    random_erasing: float                            # share of which a rectangle is erased
    jitter: Mapping[str, float] = field(default_factory=lambda: JITTER, hash=False)     # brightness, contrast,
                                                     # saturation, tint
    gray_share: float = GRAY_SHARE
    blur_share: float = BLUR_SHARE
    noise_share: float = NOISE_SHARE
    noise: float = NOISE                             # gray levels, the standard deviation at most
    noise_tiles: int = NOISE_TILES                   # different patterns of noise
    erased_side: tuple[float, float] = ERASED_SIDE    # of the crop's side, at least and at most
    move: Callable[..., tuple] = unmoved             # (images, offsets, points, seed) -> the first three
    mirror: Callable[..., tuple] = mirror            # (images, offsets, points, flips) -> the first three


def augment(images: tf.Tensor, labels: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor, seed: tf.Tensor,
            settings: Augmentation) -> tuple[tf.Tensor, ...]:
    """uint8 (B, s, s, 3), labels (B,), offsets (B, 4), points (B, 2P), seed: two int64 -> normalized float32 images
    (B, s, s, 3), half of them mirrored, and their labels, offsets and points."""
    images, offsets, points = settings.move(images, offsets, points, seed)
    seeds = tf.random.experimental.stateless_split(seed, 5)
    images, offsets, points = settings.mirror(images, offsets, points, coin(seeds[0], tf.shape(images)[0]))
    images = jitter_colors(images, seeds[1], settings)
    images = change_some(images, seeds[2], settings.blur_share, blur)
    images = change_some(images, seeds[3], settings.noise_share, lambda some, seed: add_noise(
        some, seed, settings.noise, settings.noise_tiles))
    images = tf.clip_by_value(images, DARKEST, BRIGHTEST)
    images = change_some(images, seeds[4], settings.random_erasing, lambda some, seed: erase(
        some, seed, settings.erased_side))
    return images, labels, offsets, points


def change_some(images: tf.Tensor, seed: tf.Tensor, share: float, change: Callable) -> tf.Tensor:
    """Images (B, s, s, 3) -> the same, with `change` (images, seed) applied to a random share of them only, so that it
    costs that share."""
    if not share:
        return images
    seeds = tf.random.experimental.stateless_split(seed, 3)
    count = tf.shape(images)[0]
    number = tf.cast(share * tf.cast(count, tf.float32) + tf.random.stateless_uniform([], seeds[0]), tf.int32)
    chosen = tf.random.experimental.stateless_shuffle(tf.range(count), seeds[1])[:number, None]
    return tf.tensor_scatter_nd_update(images, chosen, change(tf.gather(images, chosen[:, 0]), seeds[2]))


def jitter_colors(images: tf.Tensor, seed: tf.Tensor, settings: Augmentation) -> tf.Tensor:
    """uint8 (B, s, s, 3) -> normalized, each with another brightness, contrast, saturation and tint, some in gray.

    All of them are one affine map of a pixel's three values: one product with a 3 x 3 matrix per image.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    strength = settings.color_jitter
    samples = tf.random.stateless_uniform([7, count, 1, 1], seed, -1.0, 1.0)
    saturation, contrast, brightness = (strength * settings.jitter[name] * samples[i] for i, name in enumerate(
        ("saturation", "contrast", "brightness")))                                             # (B, 1, 1)
    tint = strength * settings.jitter["tint"] * tf.concat(tf.unstack(samples[4:7]), axis=2)    # (B, 1, 3)
    gray = (samples[3] + 1) / 2 < strength * settings.gray_share
    saturation, contrast = tf.where(gray, 0.0, 1 + saturation), 1 + contrast
    matrix = contrast * (saturation * tf.eye(3) + (1 - saturation) / 3)                        # (B, 3, 3)
    shift = PIXEL_MEAN * (1 - contrast) + brightness + tint
    pixels = tf.reshape(tf.cast(images, tf.float32), [count, size * size, 3])
    return tf.reshape(pixels @ (matrix * PIXEL_SCALE) + normalize(shift), [count, size, size, 3])


def blur(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each blurred over 3 x 3 pixels with a random strength, as by poor cameras."""
    strength = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
    return images + strength * (tf.nn.avg_pool2d(images, 3, 1, "SAME") - images)     # edges: mean of the pixels inside


def add_noise(images: tf.Tensor, seed: tf.Tensor, most: float, tiles: int) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each with normal noise of a standard deviation up to `most` gray levels, as of poor
    cameras and JPEG.

    The noise is one of `tiles` fixed patterns: sampling it for each batch takes longer than all the rest.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    patterns = tf.constant(np.random.default_rng(0).standard_normal((tiles, size, size, 3), np.float32))
    samples = tf.random.stateless_uniform([2, count], seed)
    strength = most * PIXEL_SCALE * samples[0][:, None, None, None]
    return images + strength * tf.gather(patterns, tf.cast(samples[1] * tiles, tf.int32))


def erase(images: tf.Tensor, seed: tf.Tensor, sides: tuple[float, float]) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each with one rectangle at a random place filled with one random color. sides: of the
    rectangle, at least and at most, as shares of the crop's side. Source: Zhong et al., "Random Erasing", AAAI 2020."""
    count, size = tf.shape(images)[0], images.shape[1]
    samples = tf.random.stateless_uniform([7, count, 1], seed)
    side = sides[0] + samples[0:2] * (sides[1] - sides[0])                             # (2, B, 1) of the crop's side
    start = samples[2:4] * (1 + side) - side                                           # may begin outside
    place = (tf.range(size, dtype=tf.float32) + 0.5) / size                            # (s,)
    within = (place >= start) & (place < start + side)                                 # (2, B, s)
    erased = (within[0][:, :, None] & within[1][:, None, :])[..., None]                # (B, s, s, 1)
    color = normalize(tf.transpose(samples[4:7, :, 0])[:, None, None] * 255.0)         # (B, 1, 1, 3)
    return tf.where(erased, color, images)
