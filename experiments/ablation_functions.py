"""Functions and a layer that ablations put into a recipe (train/recipe.py) in the place of the standard ones."""
import numpy as np

from config import LANDMARK, NEGATIVE, POSITIVE
from detection.quiet_tensorflow import tf
from preprocess import records
from train import augment, layers, losses

JPEG_QUALITY = 95        # OpenCV's default, with which the baselines store their crops
SMOOTHING = 0.1          # of the labels: Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7


# --- In the place of records.decode: (serialized (B,), size) -> images uint8, labels, offsets, points

def through_jpeg(images: tf.Tensor, labels: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor) -> tuple:
    """Samples -> the same with the crop stored as JPEG and the targets rounded to two decimals."""
    crops = tf.map_fn(lambda image: tf.image.adjust_jpeg_quality(image, JPEG_QUALITY), images)
    return tf.ensure_shape(crops, images.shape), labels, tf.round(offsets * 100) / 100, tf.round(points * 100) / 100


def wider_by_a_pixel(images: tf.Tensor, labels: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor) -> tuple:
    """Samples -> the same with the landmark crops one pixel wider than the width that their points are divided by."""
    wider = points * (1 + 1 / images.shape[1])
    return images, labels, offsets, tf.where(labels[:, None] == LANDMARK, wider, points)


def decode_jpeg(serialized: tf.Tensor, size: int) -> tuple:
    return through_jpeg(*records.decode(serialized, size))


def decode_wide_landmark_crops(serialized: tf.Tensor, size: int) -> tuple:
    return wider_by_a_pixel(*records.decode(serialized, size))


def decode_as_baseline(serialized: tf.Tensor, size: int) -> tuple:
    return wider_by_a_pixel(*through_jpeg(*records.decode(serialized, size)))


# --- In the augmentation

def mirror_without_offsets(offsets: tf.Tensor, points: tf.Tensor, flips: tf.Tensor) -> tuple:
    """As augment.mirror_targets, but the offsets (B, 4) stay those of the image that is not mirrored."""
    return offsets, augment.mirror_targets(offsets, points, flips)[1]


def move(images: tf.Tensor, offsets: tf.Tensor, points: tf.Tensor, seed: tf.Tensor, shift: float = 0.05,
         zoom: float = 0.05, turn: float = np.radians(5)) -> tuple:
    """uint8 (B, s, s, 3), offsets (B, 4), points (B, 2P) -> the same, half of them shifted (up to that share of the
    side), zoomed (share) and rotated (radians) around the center of the box. Boxes stay upright; what a crop lacks
    repeats its edge."""
    count, size = tf.shape(images)[0], images.shape[1]
    samples = tf.random.stateless_uniform([5, count, 1], seed, -1.0, 1.0)
    samples *= tf.cast(samples[4] < 0, tf.float32)
    by, scale, angle = shift * tf.concat([samples[0], samples[1]], axis=1), 1 + zoom * samples[2], turn * samples[3]
    across, up = scale * tf.cos(angle), scale * tf.sin(angle)                                    # (B, 1)
    matrix = tf.reshape(tf.concat([across, -up, up, across], axis=1), [-1, 2, 2])
    begin, end = offsets[:, :2], 1 + offsets[:, 2:]
    center, half = (begin + end) / 2, scale * (end - begin) / 2

    def moved(places):       # (B, P, 2), in sides of the crop
        return tf.matmul(places - center[:, None], matrix, transpose_b=True) + (center + by)[:, None]

    back = tf.linalg.inv(matrix)                  # place of an output pixel -> place of the image that it is read from
    middle = size * center - 0.5                  # the center, in pixels counted from the middle of the first
    first = middle - tf.linalg.matvec(back, middle + size * by)
    rows = tf.concat([tf.concat([back, first[..., None]], axis=2), tf.zeros([count, 1, 3])], axis=1)
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=tf.reshape(rows, [count, 9])[:, :8], output_shape=[size, size], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="NEAREST")
    offsets = tf.concat([center + by - half, center + by + half - 1], axis=1)
    return images, offsets, tf.reshape(moved(tf.reshape(points, [count, -1, 2])), tf.shape(points))


# --- In the place of losses.face: (logits (B, 2), labels (B,), overlap (B,), hard_share) -> loss

def smoothed_face(logits: tf.Tensor, labels: tf.Tensor, overlap: tf.Tensor, hard_share: float) -> tf.Tensor:
    """As losses.face, with label smoothing."""
    target = tf.one_hot(tf.cast(labels == POSITIVE, tf.int32), 2, 1 - SMOOTHING / 2, SMOOTHING / 2)
    return losses.hardest(tf.nn.softmax_cross_entropy_with_logits(target, logits),
                          losses.mask(labels, POSITIVE, NEGATIVE), hard_share)


def face_with_landmark_samples(logits: tf.Tensor, labels: tf.Tensor, overlap: tf.Tensor,
                               hard_share: float) -> tf.Tensor:
    """As losses.face, with landmark samples as further positives."""
    positive = tf.constant(POSITIVE, labels.dtype)
    return losses.face(logits, tf.where(labels == LANDMARK, positive, labels), overlap, hard_share)


# --- In the place of layers.Norm

class Bias(layers.Norm):
    """(B, ..., C) -> the same plus the bias `beta`. Mean 0 and variance 1 stay, so folding adds only the bias."""
    epsilon = 0.0

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return x + self.beta
