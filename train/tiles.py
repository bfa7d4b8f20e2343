"""P-Net trained on tiles (preprocess/tiles.py): fully convolutional, as it detects. Each cell of its map is a sample.

A tile of 64 px has 729 cells. One changed color, one mirror and one pass of the net serve them all, so that a window
costs a fraction of a crop, and the negatives are those that detection meets. Only the hardest of them count.
"""
from dataclasses import replace

from config import (
    HEADS,
    NEGATIVE,
    NEGATIVE_IOU,
    PART,
    PNET,
    POSITIVE,
    POSITIVE_IOU,
    ROBUST,
    TILE,
    TILE_AVERAGE,
    TILE_BATCH,
    TILE_EPOCHS,
    TILE_HARD_SHARE,
    TILE_RATE,
)
from detection.quiet_tensorflow import tf
from preprocess import samples, tiles
from preprocess.records import decode_tiles
from train import losses
from train.augment import robust
from train.recipe import Recipe, last_round, standard

WINDOWS = tiles.windows()      # (C, 4) px


def mirror_targets(faces: tf.Tensor, points: tf.Tensor, flips: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Faces (B, F, 4) px of tiles -> those of the tiles that are mirrored where flips (B,) is true; the points stay."""
    x1, y1, x2, y2 = tf.unstack(faces, axis=2)
    return tf.where(flips[:, None, None], tf.stack([TILE - x2, y1, TILE - x1, y2], axis=2), faces), points


def label(images: tf.Tensor, kinds: tf.Tensor, faces: tf.Tensor, points: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Tiles (B, s, s, 3), kinds (B, F) and boxes (B, F, 4) px of their faces -> images, labels (B * C,), offsets
    (B * C, 4), points (B * C, 2P), a row for each cell of the maps, as `samples.label` has them."""
    low, high = faces[..., :2], faces[..., 2:]
    center, half = (low + high) / 2, tf.reduce_max(high - low, axis=2, keepdims=True) / 2
    common = _intersection(tf.concat([center - half, center + half], axis=2))                       # (B, C, F)
    union = (2 * half[:, None, :, 0]) ** 2 + PNET.size ** 2 - common
    overlap = tf.where((kinds == tiles.TRUE)[:, None], common / union, 0.0)
    covered = tf.where((kinds == tiles.IGNORED)[:, None], _intersection(faces) / PNET.size ** 2, 0.0)
    best, nearest = tf.reduce_max(overlap, axis=2), tf.argmax(overlap, axis=2)                      # (B, C)
    background = (best < NEGATIVE_IOU) & (tf.reduce_max(covered, axis=2) < NEGATIVE_IOU)
    labels = tf.where(background, NEGATIVE, samples.AMBIGUOUS)
    labels = tf.where(best >= PNET.part_iou, PART, labels)
    labels = tf.where(best >= POSITIVE_IOU, POSITIVE, labels)
    offsets = (tf.gather(faces, nearest, batch_dims=1) - WINDOWS) / PNET.size                       # (B, C, 4)
    labels, offsets = tf.reshape(labels, [-1]), tf.reshape(offsets, [-1, 4])
    return images, tf.cast(labels, tf.int64), offsets, tf.zeros([tf.size(labels), HEADS["landmark"]])


def _intersection(faces):
    """Boxes (B, F, 4) px -> (B, C, F): px^2 in common with each cell's window."""
    windows, faces = WINDOWS[None, :, None], faces[:, None]
    sides = tf.minimum(windows[..., 2:], faces[..., 2:]) - tf.maximum(windows[..., :2], faces[..., :2])
    return tf.reduce_prod(tf.maximum(sides, 0.0), axis=3)


def face(logits: tf.Tensor, labels: tf.Tensor, overlap: tf.Tensor, hard_share: float) -> tf.Tensor:
    """logits (N, 2), labels (N,) of cells -> the mean of two cross-entropies: of the positives, and of the hardest
    `hard_share` of the negatives. The IoU of the net's own boxes with the faces, overlap (N,), does not count."""
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels == POSITIVE, tf.int32), logits)
    return _with_hardest_negatives(values, labels, hard_share, POSITIVE)


def face_of_box(logits: tf.Tensor, labels: tf.Tensor, overlap: tf.Tensor, hard_share: float) -> tf.Tensor:
    """In the place of `face` for --last-round: the same of `losses.of_box`, and parts count as positives do."""
    return _with_hardest_negatives(losses.of_box(logits, labels, overlap), labels, hard_share, POSITIVE, PART)


def _with_hardest_negatives(values, labels, hard_share, *near):
    """Losses (N,) -> the mean of two: of the cells with these labels, and of the hardest negatives."""
    negatives = losses.hardest(values, losses.mask(labels, NEGATIVE), hard_share)
    return (losses.masked_mean(values, losses.mask(labels, *near)) + negatives) / 2


def recipe(last: bool = False) -> Recipe:
    """P-Net's recipe on tiles, from config.py, with the augmentation of --robust but for the border: tiles have one.
    last: with the losses of --last-round."""
    stage = replace(PNET, batch=TILE_BATCH)
    plain = standard(stage)
    asked = replace(last_round(stage).losses, face=face_of_box) if last else replace(plain.losses, face=face)
    changes = replace(robust(plain.augmentation), mirror_targets=mirror_targets, border_cut=0.0,
                      blur=ROBUST["blur"] * PNET.size / TILE)
    return replace(plain, epochs=TILE_EPOCHS, learning_rate=TILE_RATE, batch_size=sum(TILE_BATCH.values()),
                   average=TILE_AVERAGE, decode=decode_tiles, label=label, augmentation=changes,
                   losses=replace(asked, hard_share=TILE_HARD_SHARE))
