"""Augmentation: samples mirrored, with other colors, blurred, noisy, partly erased; sampled anew for every batch.

Everything random follows from the batch's seed and the row of the sample, so several workers can share a batch: each
prepares the pixels of its own rows. The operations touch the pixels as few times as possible: with small nets this can
take as long as the training step.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

import numpy as np

from config import (
    BLUR_SHARE,
    BORDER_VISIBLE,
    ERASED_SIDE,
    EXPOSURE,
    GRAY_SHARE,
    JITTER,
    JPEG_QUALITY,
    NOISE,
    NOISE_SHARE,
    NOISE_TILES,
    PART,
    PIXEL_MEAN,
    PIXEL_SCALE,
    POSITIVE,
    POSITIVE_IOU,
    ROBUST,
)
from detection.boxes import MIRROR_OFFSETS, MIRROR_SHIFT, MIRROR_SIGN, MIRROR_TAKE
from detection.images import normalize
from detection.quiet_tensorflow import tf

DARKEST, BRIGHTEST = normalize(0.0), normalize(255.0)
ORDERS = np.array([np.eye(3)[list(order)] for order in permutations(range(3))][1:], np.float32)   # all but BGR itself
UNIT = np.array([0, 0, 1, 1], np.float32)        # the crop as a box, in units of its sides


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
    permuted_share: float = 0.0                      # of which the color channels change places
    exposed_share: float = 0.0                       # of which all values are multiplied by a factor within EXPOSURE
    blur_share: float = BLUR_SHARE
    blur: float = 0.0                                # of the side, a Gaussian's deviation at most; 0: 3 x 3 pixels
    noise_share: float = NOISE_SHARE
    noise: float = NOISE                             # gray levels, the standard deviation at most
    noise_tiles: int = NOISE_TILES                   # different patterns of noise
    jpeg_share: float = 0.0                          # of which the quality is within JPEG_QUALITY
    border_cut: float = 0.0                          # share that an image border cuts
    keep_plain: bool = False                         # whether the images without these changes are returned, too
    erased_side: tuple[float, float] = ERASED_SIDE    # of the crop's side, at least and at most
    move: Callable[..., tuple] = unmoved             # (images, offsets, points, seed) -> the first three
    mirror_targets: Callable[..., tuple] = mirror_targets       # (offsets, points, flips) -> the first two

    def is_plain(self) -> bool:
        """Whether there is none of the changes that `robust` adds."""
        return not any((self.permuted_share, self.exposed_share, self.jpeg_share, self.border_cut))


def robust(settings: Augmentation) -> Augmentation:
    """The same with the further changes of --robust, for colors, light, detail and borders that the plain ones lack."""
    return replace(settings, **ROBUST)


def augment(images: tf.Tensor, labels: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor, seed: tf.Tensor,
            settings: Augmentation, rows: tf.Tensor | None = None) -> tuple[tf.Tensor, ...]:
    """uint8 (B, s, s, 3), labels (B,), offsets (B, 4), points (B, 2P), seed: two int64 -> normalized float32 images
    (B, s, s, 3), half of them mirrored, and their labels, offsets and points. rows: numbers (b,) of those whose images
    (b, s, s, 3) are returned, by default all. With settings.keep_plain images are (B, s, s, 6): the last three channels
    are the mirrored image without any other change, NaN where a border cuts the sample, as that changes its label."""
    images, offsets, points = settings.move(images, offsets, points, seed)
    random = Random(seed, tf.shape(images)[0], None if rows is None else tf.convert_to_tensor(rows))
    mirrored, colors, blurred, noisy, erased, *further = random.split(5 if settings.is_plain() else 8)
    flips = coin(mirrored.seed, random.count)
    offsets, points = settings.mirror_targets(offsets, points, flips)
    images = mirror_images(random.own(images), random.own(flips))
    plain = normalize(tf.cast(images, tf.float32))
    images = jitter_colors(images, colors, settings)
    if further:
        images = jitter_light(images, further[0], settings)
    images = change_some(images, blurred, settings.blur_share, lambda some, random: gaussian_blur(
        some, random, settings.blur) if settings.blur else blur(some, random))
    images = change_some(images, noisy, settings.noise_share, lambda some, random: add_noise(
        some, random, settings.noise, settings.noise_tiles))
    images = tf.clip_by_value(images, DARKEST, BRIGHTEST)
    if further:
        images = change_some(images, further[1], settings.jpeg_share, compress)
    images = change_some(images, erased, settings.random_erasing, lambda some, random: erase(
        some, random, settings.erased_side))
    if settings.border_cut:
        beyond, labels, offsets = cut_by_border(images.shape[1], labels, offsets, further[2], settings.border_cut)
        images = tf.where(beyond, DARKEST, images)
        plain = tf.where(tf.reduce_any(beyond, axis=[1, 2, 3], keepdims=True), np.nan, plain)
    return tf.concat([images, plain], axis=3) if settings.keep_plain else images, labels, offsets, points


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


def gaussian_blur(images: tf.Tensor, random: Random, most: float) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each with a Gaussian blur, as of small and unsharp faces, of a standard deviation up
    to `most` of its side."""
    size = images.shape[1]
    sigma = 0.2 + random.uniform(1)[0][:, None, None] * max(most * size - 0.2, 0)             # px
    place = tf.range(size, dtype=tf.float32)
    weights = tf.exp(-tf.square((place[:, None] - place) / sigma) / 2)                         # (B, s, s)
    weights /= tf.reduce_sum(weights, axis=2, keepdims=True)                # edges: mean of the pixels inside
    return tf.einsum("bij,bjkc,blk->bilc", weights, images, weights)


def jitter_light(images: tf.Tensor, random: Random, settings: Augmentation) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> a share with the color channels in another order, a share darker or brighter."""
    count, size = tf.shape(images)[0], images.shape[1]
    permuted, order, exposed, factor = tf.unstack(random.uniform(4))
    low, high = np.log(EXPOSURE)
    exposure = tf.where(exposed < settings.exposed_share, tf.exp(low + factor * (high - low)), 1.0)[:, None, None]
    orders = tf.gather(tf.constant(ORDERS), tf.cast(order * len(ORDERS), tf.int32))            # (B, 3, 3)
    matrix = exposure * tf.where((permuted < settings.permuted_share)[:, None, None], orders, tf.eye(3))
    pixels = tf.reshape(images, [count, size * size, 3]) - DARKEST                             # black is 0
    return tf.reshape(pixels @ matrix + DARKEST, [count, size, size, 3])


def compress(images: tf.Tensor, random: Random) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each through JPEG of a quality within JPEG_QUALITY."""
    low, high = JPEG_QUALITY
    qualities = tf.cast(low + random.uniform(1)[0] * (high - low), tf.int32)
    pixels = tf.cast(tf.round(images / PIXEL_SCALE + PIXEL_MEAN), tf.uint8)[..., ::-1]
    worse = tf.map_fn(lambda one: tf.image.adjust_jpeg_quality(*one), (pixels, qualities), fn_output_signature=tf.uint8)
    return normalize(tf.cast(tf.reshape(worse, tf.shape(images))[..., ::-1], tf.float32))


def add_noise(images: tf.Tensor, random: Random, most: float, tiles: int) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each with normal noise of a standard deviation up to `most` gray levels, as of poor
    cameras and JPEG.

    The noise is one of `tiles` fixed patterns: sampling it for each batch takes longer than all the rest.
    """
    samples = random.uniform(2)
    strength = most * PIXEL_SCALE * samples[0][:, None, None, None]
    return images + strength * tf.gather(noise_patterns(tiles, images.shape[1]), tf.cast(samples[1] * tiles, tf.int32))


@lru_cache
def noise_patterns(tiles: int, size: int) -> tf.Tensor:
    """Standard normal (tiles, size, size, 3). Made outside the graph that uses them: as one of its constants they would
    be copied again and again, with the graph of each epoch."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(np.random.default_rng(0).standard_normal((tiles, size, size, 3), np.float32))


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


def cut_by_border(size: int, labels: tf.Tensor, offsets: tf.Tensor, random: Random, share: float
                  ) -> tuple[tf.Tensor, ...]:
    """labels (B,), offsets (B, 4) of crops of this size, px, a share of which an image border cuts -> bool
    (b, s, s, 1), the pixels beyond it of the prepared rows; labels (B,), offsets (B, 4).

    A line across the face's box, or across the crop where there is no box, leaves BORDER_VISIBLE of it; all beyond the
    line is black, as windows are outside an image. What is left of the box is the new target, and its square decides
    anew whether the sample is a positive or a part. The line lies on the side to which the box leans in the crop, so
    that crops around what is left of a face occur.
    """
    samples = random._replace(rows=None).uniform(3)
    box = offsets + UNIT
    chosen, vertical = samples[0] < share, samples[1] < 0.5                           # vertical: y is cut, else x
    visible = BORDER_VISIBLE[0] + samples[2] * (BORDER_VISIBLE[1] - BORDER_VISIBLE[0])
    low, high = (tf.where(vertical, box[:, i + 1], box[:, i]) for i in (0, 2))        # (B,)
    first = low + high < 1                                                            # left or top
    line = tf.where(first, high - visible * (high - low), low + visible * (high - low))
    place = (tf.range(size, dtype=tf.float32) + 0.5) / size                           # (s,)
    beyond = tf.where(first[:, None], place < line[:, None], place > line[:, None]) & chosen[:, None]       # (B, s)
    black = tf.where(vertical[:, None, None], beyond[:, :, None], beyond[:, None, :])                       # (B, s, s)
    low, high = tf.where(first, line, low), tf.where(first, high, line)
    left = tf.where(vertical[:, None], tf.stack([box[:, 0], low, box[:, 2], high], axis=1),
                    tf.stack([low, box[:, 1], high, box[:, 3]], axis=1))              # (B, 4)
    boxed = chosen & ((labels == POSITIVE) | (labels == PART))
    kind = tf.where(iou_with_crop(left) >= POSITIVE_IOU, tf.constant(POSITIVE, labels.dtype),
                    tf.constant(PART, labels.dtype))
    return (random.own(black)[..., None], tf.where(boxed, kind, labels),
            tf.where(boxed[:, None], left - UNIT, offsets))


def iou_with_crop(boxes: tf.Tensor) -> tf.Tensor:
    """Boxes (B, 4) in units of their crop's sides -> (B,): IoU of their squares with the crop."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = tf.reduce_max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True) / 2
    common = tf.reduce_prod(tf.maximum(tf.minimum(center + half, 1.0) - tf.maximum(center - half, 0.0), 0.0), axis=1)
    return common / (4 * half[:, 0] ** 2 + 1 - common)
