"""What the augmentation does to pixels and targets."""
import numpy as np
import tensorflow as tf

from config import BLUR_SHARE, GRAY_SHARE, NOISE, NOISE_SHARE
from detection import boxes as bx
from detection.images import normalise
from train import augment

SEED = tf.constant([1, 2], tf.int64)


def test_mirroring_moves_pixels_and_targets_alike():
    """A bright rectangle stays within its target box, a bright spot under its point."""
    image = np.zeros((1, 48, 48, 3), np.float32)
    image[0, 10:30, 5:20] = 100
    box = np.array([[5 / 48, 10 / 48, 20 / 48 - 1, 30 / 48 - 1]], np.float32)
    points = np.array([[5 / 48, 10 / 48, 20 / 48, 10 / 48, 0.3, 0.4, 5 / 48, 30 / 48, 20 / 48, 30 / 48]], np.float32)
    mirrored, offsets, relative = (t.numpy() for t in augment.mirror(image, box, points, tf.constant([True])))
    crop = np.array([[0, 0, 48, 48]], np.float32)
    x1, y1, x2, y2 = np.round(bx.decode(offsets, crop)[0]).astype(int)
    assert (mirrored[0, y1:y2, x1:x2] == 100).all() and mirrored.sum() == image.sum()
    np.testing.assert_allclose(bx.decode_points(relative, crop)[0, 0], [x1, y1], atol=1e-4)      # left eye, upper left
    np.testing.assert_allclose(bx.decode_points(relative, crop)[0, 4], [x2, y2], atol=1e-4)
    for one, same in zip(augment.mirror(image, box, points, tf.constant([False])), (image, box, points)):
        np.testing.assert_array_equal(one, same)


def pixels(images):
    """Normalised -> 0..255."""
    return np.asarray(images) * 128 + 127.5


def copies(rng, count):
    return np.repeat(rng.integers(60, 200, (1, 24, 24, 3), dtype=np.uint8), count, axis=0)


def test_light_differs_from_image_to_image_and_not_on_average(rng):
    images = copies(rng, 400)
    out = pixels(augment.relight(tf.constant(images), SEED))
    change = np.abs(out - images).mean(axis=(1, 2, 3))
    assert (change > 1).mean() > 0.95 and len(np.unique(change.round(3))) > 350
    assert abs(out.mean() - images.mean()) < 3
    grays = np.ptp(out - out[:, :1, :1], axis=3).max(axis=(1, 2)) < 0.01       # the tint is the same all over an image
    assert 0.6 * GRAY_SHARE < grays.mean() < 1.4 * GRAY_SHARE
    assert abs(pixels(augment.relight(tf.constant(images), SEED, 0.0)) - images).max() < 0.01


def test_some_are_blurred_and_some_noisy(rng):
    images = normalise(copies(rng, 400).astype(np.float32))
    out = np.asarray(augment.degrade(tf.constant(images), SEED))
    detail = np.abs(np.diff(out, axis=2)).mean(axis=(1, 2, 3)) / np.abs(np.diff(images[0], axis=1)).mean()
    untouched = (out == images).all(axis=(1, 2, 3))
    plain = (1 - BLUR_SHARE) * (1 - NOISE_SHARE)
    assert abs(untouched.mean() - plain) < 0.06 and 0.4 * BLUR_SHARE < (detail < 0.98).mean() < 1.5 * BLUR_SHARE
    flat = np.asarray(augment.degrade(tf.zeros((400, 24, 24, 3)), SEED)) * 128
    assert abs((flat.std(axis=(1, 2, 3)) > 0).mean() - NOISE_SHARE) < 0.06 and flat.std(axis=(1, 2, 3)).max() < NOISE * 1.1


def test_a_share_is_partly_hidden_by_one_rectangle():
    out = np.asarray(augment.occlude(tf.fill((1000, 24, 24, 3), 5.0), SEED, 0.3))
    hidden = (out != 5.0).all(axis=3)                                         # (B, s, s)
    covered = hidden.mean(axis=(1, 2))
    assert 0.2 < (covered > 0).mean() < 0.33 and covered.max() < 0.3
    for mask, image in zip(hidden[covered > 0][:50], out[covered > 0]):
        rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        assert mask[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1].all()
        assert len(np.unique(image[mask], axis=0)) == 1 and np.abs(image[mask]).max() <= 1


def test_what_comes_out_is_within_the_range_of_pixels(rng):
    images = tf.constant(rng.integers(0, 256, (64, 24, 24, 3), dtype=np.uint8))
    out, *_ = augment.augment(images, None, tf.zeros((64, 4)), tf.zeros((64, 10)), SEED, 0.5)
    assert 0 <= pixels(out).min() and pixels(out).max() <= 255


def test_half_of_the_samples_are_mirrored():
    flips = augment.coin(SEED, 10_000).numpy()
    assert 0.47 < flips.mean() < 0.53
