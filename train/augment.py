"""Augmentation: samples mirrored, with other colors, blurred, noisy, partly erased; sampled anew for every batch.

Everything random follows from the batch's seed and the row of the sample, so several workers can share a batch: each
prepares the pixels of its own rows. The operations touch the pixels as few times as possible: with small nets this can
take as long as the training step.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from config import BLUR_SHARE, ERASED_SIDE, GRAY_SHARE, JITTER, NOISE, NOISE_SHARE, NOISE_TILES, PIXEL_MEAN, PIXEL_SCALE
from detection.boxes import MIRROR_OFFSETS, MIRROR_SHIFT, MIRROR_SIGN, MIRROR_TAKE
from detection.images import normalize
from detection.quiet_tensorflow import tf

DARKEST, BRIGHTEST = normalize(0.0), normalize(255.0)


class Random(NamedTuple):
    """Random numbers for some rows of a batch. They are sampled for all rows, so a row gets the same ones, whichever
    others are prepared with it."""
    seed: tf.Tensor                     # two int64
    count: tf.Tensor                    # rows of the batch
    rows: tf.Tensor | None = None       # (b,) numbers of those that are prepared; None: all

    def split(self, number: int) -> list["Random"]:
        """So many others, for the same rows."""
        return [self._replace(seed=seed) for seed in tf.unstack(
            tf.random.experimental.stateless_split(self.seed, number))]

    def uniform(self, number: int) -> tf.Tensor:
        """(number, b) in 0..1."""
        return self.own(tf.random.stateless_uniform([number, self.count], self.seed), axis=1)

    def own(self, values: tf.Tensor, axis: int = 0) -> tf.Tensor:
        """Values of all rows -> of those that are prepared."""
        return values if self.rows is None else tf.gather(values, self.rows, axis=axis)

    def some(self, share: float) -> tuple[tf.Tensor, "Random"]:
        """A random share of the rows of the batch -> the places (c,) of those of them that are prepared, among the
        prepared rows, and random numbers for them."""
        number_seed, order_seed, seed = tf.unstack(tf.random.experimental.stateless_split(self.seed, 3))
        number = tf.cast(share * tf.cast(self.count, tf.float32) + tf.random.stateless_uniform([], number_seed),
                         tf.int32)
        chosen = tf.random.experimental.stateless_shuffle(tf.range(self.count), order_seed)[:number]
        if self.rows is None:
            return chosen, Random(seed, number)
        prepared = tf.scatter_nd(self.rows[:, None], tf.range(tf.size(self.rows)) + 1, [self.count])
        places = tf.gather(prepared, chosen) - 1                                # -1: not prepared
        own = tf.where(places >= 0)[:, 0]
        return tf.gather(places, own), Random(seed, number, own)


def coin(seed: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """(count,) bool, each true in half of the cases."""
    return tf.random.stateless_uniform([count], seed) < 0.5


def _choose(flips: tf.Tensor, mirrored: tf.Tensor, plain: tf.Tensor) -> tf.Tensor:
    """Whole rows at a time: fifteen times as fast as tf.where, which broadcasts."""
    return tf.raw_ops.Select(condition=flips, x=mirrored, y=plain)


def mirror_images(images: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
    """Images (B, s, s, 3) -> the same, mirrored where flips (B,) is true."""
    size = images.shape[1]
    mirrored = tf.reshape(tf.reverse(tf.reshape(images, [-1, size, 3]), [1]), [-1, size, size, 3])
    return _choose(flips, mirrored, images)


def mirror_targets(offsets: tf.Tensor, points: tf.Tensor, flips: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Offsets (B, 4), points (B, 2P), NaN where one is not labeled -> those of the images that are mirrored where flips
    (B,) is true."""
    return (_choose(flips, offsets @ MIRROR_OFFSETS, offsets),
            _choose(flips, tf.gather(points, MIRROR_TAKE, axis=1) * MIRROR_SIGN + MIRROR_SHIFT, points))


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
    mirror_targets: Callable[..., tuple] = mirror_targets       # (offsets, points, flips) -> the first two


def augment(images: tf.Tensor, labels: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor, seed: tf.Tensor,
            settings: Augmentation, rows: tf.Tensor | None = None) -> tuple[tf.Tensor, ...]:
    """uint8 (B, s, s, 3), labels (B,), offsets (B, 4), points (B, 2P), seed: two int64 -> normalized float32 images
    (B, s, s, 3), half of them mirrored, and their labels, offsets and points. rows: numbers (b,) of those whose images
    (b, s, s, 3) are returned, by default all."""
    images, offsets, points = settings.move(images, offsets, points, seed)
    random = Random(seed, tf.shape(images)[0], rows)
    mirrored, colors, blurred, noisy, erased = random.split(5)
    flips = coin(mirrored.seed, random.count)
    offsets, points = settings.mirror_targets(offsets, points, flips)
    images = mirror_images(random.own(images), random.own(flips))
    images = jitter_colors(images, colors, settings)
    images = change_some(images, blurred, settings.blur_share, blur)
    images = change_some(images, noisy, settings.noise_share, lambda some, random: add_noise(
        some, random, settings.noise, settings.noise_tiles))
    images = tf.clip_by_value(images, DARKEST, BRIGHTEST)
    images = change_some(images, erased, settings.random_erasing, lambda some, random: erase(
        some, random, settings.erased_side))
    return images, labels, offsets, points


def change_some(images: tf.Tensor, random: Random, share: float, change: Callable) -> tf.Tensor:
    """Images (b, s, s, 3) -> the same, with `change` (images, random) applied to a random share of the batch only, so
    that it costs that share."""
    if not share:
        return images
    places, of_them = random.some(share)
    return tf.tensor_scatter_nd_update(images, places[:, None], change(tf.gather(images, places), of_them))


def jitter_colors(images: tf.Tensor, random: Random, settings: Augmentation) -> tf.Tensor:
    """uint8 (B, s, s, 3) -> normalized, each with another brightness, contrast, saturation and tint, some in gray.

    All of them are one affine map of a pixel's three values: one product with a 3 x 3 matrix per image.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    strength = settings.color_jitter
    samples = 2 * random.uniform(7)[:, :, None, None] - 1
    saturation, contrast, brightness = (strength * settings.jitter[name] * samples[i] for i, name in enumerate(
        ("saturation", "contrast", "brightness")))                                             # (B, 1, 1)
    tint = strength * settings.jitter["tint"] * tf.concat(tf.unstack(samples[4:7]), axis=2)    # (B, 1, 3)
    gray = (samples[3] + 1) / 2 < strength * settings.gray_share
    saturation, contrast = tf.where(gray, 0.0, 1 + saturation), 1 + contrast
    matrix = contrast * (saturation * tf.eye(3) + (1 - saturation) / 3)                        # (B, 3, 3)
    shift = PIXEL_MEAN * (1 - contrast) + brightness + tint
    pixels = tf.reshape(tf.cast(images, tf.float32), [count, size * size, 3])
    return tf.reshape(pixels @ (matrix * PIXEL_SCALE) + normalize(shift), [count, size, size, 3])


def blur(images: tf.Tensor, random: Random) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each blurred over 3 x 3 pixels with a random strength, as by poor cameras."""
    strength = random.uniform(1)[0][:, None, None, None]
    return images + strength * (tf.nn.avg_pool2d(images, 3, 1, "SAME") - images)     # edges: mean of the pixels inside


def add_noise(images: tf.Tensor, random: Random, most: float, tiles: int) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each with normal noise of a standard deviation up to `most` gray levels, as of poor
    cameras and JPEG.

    The noise is one of `tiles` fixed patterns: sampling it for each batch takes longer than all the rest.
    """
    size = images.shape[1]
    patterns = tf.constant(np.random.default_rng(0).standard_normal((tiles, size, size, 3), np.float32))
    samples = random.uniform(2)
    strength = most * PIXEL_SCALE * samples[0][:, None, None, None]
    return images + strength * tf.gather(patterns, tf.cast(samples[1] * tiles, tf.int32))


def erase(images: tf.Tensor, random: Random, sides: tuple[float, float]) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each with one rectangle at a random place filled with one random color. sides: of the
    rectangle, at least and at most, as shares of the crop's side. Source: Zhong et al., "Random Erasing", AAAI 2020."""
    size = images.shape[1]
    samples = random.uniform(7)[..., None]
    side = sides[0] + samples[0:2] * (sides[1] - sides[0])                             # (2, B, 1) of the crop's side
    start = samples[2:4] * (1 + side) - side                                           # may begin outside
    place = (tf.range(size, dtype=tf.float32) + 0.5) / size                            # (s,)
    within = (place >= start) & (place < start + side)                                 # (2, B, s)
    erased = (within[0][:, :, None] & within[1][:, None, :])[..., None]                # (B, s, s, 1)
    color = normalize(tf.transpose(samples[4:7, :, 0])[:, None, None] * 255.0)         # (B, 1, 1, 3)
    return tf.where(erased, color, images)
