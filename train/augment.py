"""Augmentation: samples mirrored, with other colors, blurred, noisy, compressed, partly erased, cut by an image border;
sampled anew for every batch.

Everything random follows from the batch's seed. The operations touch the pixels of a batch as few times as possible:
with small nets this can take as long as the training step.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from config import (
    BLUR,
    BLUR_SHARE,
    BORDER_VISIBLE,
    ERASED_SIDE,
    EXPOSED_SHARE,
    EXPOSURE,
    GRAY_SHARE,
    JITTER,
    JPEG_QUALITY,
    JPEG_SHARE,
    NOISE,
    NOISE_SHARE,
    NOISE_TILES,
    PART,
    PERMUTED_SHARE,
    PIXEL_MEAN,
    PIXEL_SCALE,
    POSITIVE,
    POSITIVE_IOU,
)
from detection.boxes import MIRROR_OFFSETS, MIRROR_POINTS, MIRROR_SHIFT
from detection.images import normalize
from detection.quiet_tensorflow import tf

DARKEST, BRIGHTEST = normalize(0.0), normalize(255.0)
ORDERS = np.array([np.eye(3)[list(order)] for order in permutations(range(3))][1:], np.float32)   # all but BGR itself
UNIT = np.array([0, 0, 1, 1], np.float32)        # the crop as a box, in units of its sides


def coin(seed: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """(count,) bool, each true in half of the cases."""
    return tf.random.stateless_uniform([count], seed) < 0.5


def mirror(images: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor, flips: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Images (B, s, s, 3), offsets (B, 4), points (B, 2P) -> the same, mirrored where flips (B,) is true."""
    size = images.shape[1]
    mirrored = tf.reshape(tf.reverse(tf.reshape(images, [-1, size, 3]), [1]), [-1, size, size, 3])

    def choose(mirrored, plain):       # whole rows at a time: fifteen times as fast as tf.where, which broadcasts
        return tf.raw_ops.Select(condition=flips, x=mirrored, y=plain)

    return (choose(mirrored, images), choose(offsets @ MIRROR_OFFSETS, offsets),
            choose(points @ MIRROR_POINTS + MIRROR_SHIFT, points))


def unmoved(images: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Images, offsets, points -> the same: the lists shift, zoom and rotate the crops already."""
    return images, offsets, points


@dataclass(frozen=True)
class Augmentation:
    """The settings of `augment`. Shares are of the samples."""
    color_jitter: float                              # strength of jitter; with 0 colors stay as they are
    random_erasing: float                            # share of which a rectangle is erased
    border_cut: float = 0.0                          # share that an image border cuts
    jitter: Mapping[str, float] = field(default_factory=lambda: JITTER)     # brightness, contrast, saturation, tint
    gray_share: float = GRAY_SHARE
    permuted_share: float = PERMUTED_SHARE           # of which the color channels change places
    exposed_share: float = EXPOSED_SHARE             # of which all values are multiplied by a factor of `exposure`
    exposure: tuple[float, float] = EXPOSURE         # at least and at most
    blur_share: float = BLUR_SHARE
    blur: float = BLUR                               # of the side, the standard deviation at most
    jpeg_share: float = JPEG_SHARE
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
    seeds = tf.random.experimental.stateless_split(seed, 7)
    images, offsets, points = settings.mirror(images, offsets, points, coin(seeds[0], tf.shape(images)[0]))
    images = jitter_colors(images, seeds[1], settings)
    images = change_some(images, seeds[2], settings.blur_share, lambda some, seed: blur(some, seed, settings.blur))
    images = change_some(images, seeds[3], settings.noise_share, lambda some, seed: add_noise(
        some, seed, settings.noise, settings.noise_tiles))
    images = tf.clip_by_value(images, DARKEST, BRIGHTEST)
    images = change_some(images, seeds[5], settings.jpeg_share, compress)
    images = change_some(images, seeds[4], settings.random_erasing, lambda some, seed: erase(
        some, seed, settings.erased_side))
    if settings.border_cut:
        images, labels, offsets = cut_by_border(images, labels, offsets, seeds[6], settings.border_cut)
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
    samples = tf.random.stateless_uniform([11, count, 1, 1], seed, -1.0, 1.0)
    saturation, contrast, brightness = (strength * settings.jitter[name] * samples[i] for i, name in enumerate(
        ("saturation", "contrast", "brightness")))                                             # (B, 1, 1)
    tint = strength * settings.jitter["tint"] * tf.concat(tf.unstack(samples[4:7]), axis=2)    # (B, 1, 3)
    gray, permuted, exposed = ((samples[i] + 1) / 2 < (share if strength else 0.0) for i, share in (
        (3, settings.gray_share), (7, settings.permuted_share), (9, settings.exposed_share)))
    saturation, contrast = tf.where(gray, 0.0, 1 + saturation), 1 + contrast
    low, high = np.log(settings.exposure)
    exposure = tf.where(exposed, tf.exp(low + (samples[10] + 1) / 2 * (high - low)), 1.0)
    matrix = exposure * contrast * (saturation * tf.eye(3) + (1 - saturation) / 3)             # (B, 3, 3)
    order = tf.cast((samples[8, :, 0, 0] + 1) / 2 * len(ORDERS), tf.int32)
    matrix = tf.where(permuted, tf.gather(tf.constant(ORDERS), order) @ matrix, matrix)
    shift = PIXEL_MEAN * (1 - contrast) * exposure + (brightness + tint) * tf.minimum(exposure, 1.0)
    pixels = tf.reshape(tf.cast(images, tf.float32), [count, size * size, 3])
    return tf.reshape(pixels @ (matrix * PIXEL_SCALE) + normalize(shift), [count, size, size, 3])


def blur(images: tf.Tensor, seed: tf.Tensor, most: float) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each with a Gaussian blur, as of small and unsharp faces, of a standard deviation up
    to `most` of its side."""
    count, size = tf.shape(images)[0], images.shape[1]
    sigma = tf.random.stateless_uniform([count, 1, 1], seed, 0.2, most * size)                 # px
    place = tf.range(size, dtype=tf.float32)
    weights = tf.exp(-tf.square((place[:, None] - place) / sigma) / 2)                         # (B, s, s)
    weights /= tf.reduce_sum(weights, axis=2, keepdims=True)                # edges: mean of the pixels inside
    return tf.einsum("bij,bjkc,blk->bilc", weights, images, weights)


def compress(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Normalized (B, s, s, 3) -> each through JPEG of a quality within JPEG_QUALITY."""
    qualities = tf.random.stateless_uniform([tf.shape(images)[0]], seed, *JPEG_QUALITY, dtype=tf.int32)
    pixels = tf.cast(tf.round(tf.clip_by_value(images / PIXEL_SCALE + PIXEL_MEAN, 0, 255)), tf.uint8)[..., ::-1]
    worse = tf.map_fn(lambda one: tf.image.adjust_jpeg_quality(*one), (pixels, qualities), fn_output_signature=tf.uint8)
    return normalize(tf.cast(tf.ensure_shape(worse, images.shape)[..., ::-1], tf.float32))


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


def cut_by_border(images: tf.Tensor, labels: tf.Tensor, offsets: tf.Tensor, seed: tf.Tensor,
                  share: float) -> tuple[tf.Tensor, ...]:
    """Normalized (B, s, s, 3), labels (B,), offsets (B, 4) -> the same with that share of them cut by an image border.

    A line across the face's box, or across the crop where there is no box, leaves BORDER_VISIBLE of it; all beyond the
    line is black, as windows are outside an image. What is left of the box is the new target, and its square decides
    anew whether the sample is a positive or a part. The line lies on the side to which the box leans in the crop, so
    that crops around what is left of a face occur.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    samples = tf.random.stateless_uniform([3, count], seed)
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
    return (tf.where(black[..., None], DARKEST, images), tf.where(boxed, kind, labels),
            tf.where(boxed[:, None], left - UNIT, offsets))


def iou_with_crop(boxes: tf.Tensor) -> tf.Tensor:
    """Boxes (B, 4) in units of their crop's sides -> (B,): IoU of their squares with the crop."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = tf.reduce_max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True) / 2
    common = tf.reduce_prod(tf.maximum(tf.minimum(center + half, 1.0) - tf.maximum(center - half, 0.0), 0.0), axis=1)
    return common / (4 * half[:, 0] ** 2 + 1 - common)
