"""What the augmentation does to pixels and targets."""
import numpy as np
import tensorflow as tf

from config import ERASED_SIDE, GRAY_SHARE, NOISE, NOISE_TILES
from detection import boxes as bx
from detection.images import normalize
from train import augment
from train.augment import Augmentation, Random

SEED = tf.constant([1, 2], tf.int64)
PLAIN = Augmentation(color_jitter=1.0, random_erasing=0.0)
ERASING = Augmentation(color_jitter=1.0, random_erasing=0.5)


def test_mirroring_moves_pixels_and_targets_alike():
    """A bright rectangle stays within its target box, a bright spot under its point."""
    image = np.zeros((1, 48, 48, 3), np.float32)
    image[0, 10:30, 5:20] = 100
    box = np.array([[5 / 48, 10 / 48, 20 / 48 - 1, 30 / 48 - 1]], np.float32)
    points = np.array([[5 / 48, 10 / 48, 20 / 48, 10 / 48, 0.3, 0.4, 5 / 48, 30 / 48, 20 / 48, 30 / 48]], np.float32)
    flip = tf.constant([True])
    mirrored = augment.mirror_images(image, flip).numpy()
    offsets, relative = (t.numpy() for t in augment.mirror_targets(box, points, flip))
    crop = np.array([[0, 0, 48, 48]], np.float32)
    x1, y1, x2, y2 = np.round(bx.decode(offsets, crop)[0]).astype(int)
    assert (mirrored[0, y1:y2, x1:x2] == 100).all() and mirrored.sum() == image.sum()
    np.testing.assert_allclose(bx.decode_points(relative, crop)[0, 0], [x1, y1], atol=1e-4)      # left eye, upper left
    np.testing.assert_allclose(bx.decode_points(relative, crop)[0, 4], [x2, y2], atol=1e-4)
    lost = np.where(np.arange(10) < 2, np.nan, points).astype(np.float32)       # the left eye
    found = augment.mirror_targets(box, lost, flip)[1].numpy()
    np.testing.assert_allclose(found, np.where((np.arange(10) == 2) | (np.arange(10) == 3), np.nan, relative))
    for one, same in zip((augment.mirror_images(image, ~flip), *augment.mirror_targets(box, points, ~flip)),
                         (image, box, points)):
        np.testing.assert_array_equal(one, same)


def pixels(images):
    """Normalised -> 0..255."""
    return np.asarray(images) * 128 + 127.5


def random(seed, count):
    return Random(tf.constant([seed, 2], tf.int64), count)


def copies(rng, count):
    return np.repeat(rng.integers(60, 200, (1, 24, 24, 3), dtype=np.uint8), count, axis=0)


def test_colors_differ_from_image_to_image_and_not_on_average(rng):
    images = copies(rng, 400)
    out = pixels(augment.jitter_colors(tf.constant(images), Random(SEED, 400), PLAIN))
    change = np.abs(out - images).mean(axis=(1, 2, 3))
    assert (change > 1).mean() > 0.95 and len(np.unique(change.round(3))) > 350
    assert abs(out.mean() - images.mean()) < 3
    grays = np.ptp(out - out[:, :1, :1], axis=3).max(axis=(1, 2)) < 0.01       # the tint is the same all over an image
    assert 0.6 * GRAY_SHARE < grays.mean() < 1.4 * GRAY_SHARE
    same = pixels(augment.jitter_colors(tf.constant(images), Random(SEED, 400), Augmentation(0.0, 0.0)))
    assert abs(same - images).max() < 0.01


def test_a_share_is_changed_and_no_other(rng):
    images = tf.constant(rng.random((40, 12, 12, 3), np.float32))
    for share, seed in ((0.1, 1), (0.5, 2), (1.0, 3)):
        out = augment.change_some(images, random(seed, 40), share, lambda some, _: some + 1)
        changed = (out - images).numpy().round(4)
        assert np.isin(changed, (0, 1)).all() and (changed.min((1, 2, 3)) == changed.max((1, 2, 3))).all()
        assert changed.min((1, 2, 3)).sum() == 40 * share
    few = [augment.change_some(images[:3], random(seed, 3), 0.1, lambda some, _: some + 1) - images[:3]
           for seed in range(400)]
    assert 0.07 < np.mean(few) < 0.13                                            # right on average, too, where 0.3 of 3


def test_blurred_images_keep_their_brightness_and_lose_detail(rng):
    images = normalize(copies(rng, 400).astype(np.float32))
    out = np.asarray(augment.blur(tf.constant(images), Random(SEED, 400)))
    detail = np.abs(np.diff(out, axis=2)).mean(axis=(1, 2, 3)) / np.abs(np.diff(images[0], axis=1)).mean()
    assert detail.max() <= 1 and detail.min() < 0.4 and 0.9 < (detail < 0.98).mean()
    assert np.abs(out.mean((1, 2, 3)) - images.mean((1, 2, 3))).max() < 0.02


def test_noise_has_no_mean_and_a_bounded_strength():
    noise = np.asarray(augment.add_noise(tf.zeros((400, 24, 24, 3)), Random(SEED, 400), NOISE, NOISE_TILES)) * 128
    strengths = noise.std(axis=(1, 2, 3))
    assert strengths.max() < NOISE * 1.1 and abs(strengths.mean() - NOISE / 2) < 0.5 and abs(noise.mean()) < 0.05


def test_one_rectangle_is_erased():
    out = np.asarray(augment.erase(tf.fill((300, 24, 24, 3), 5.0), Random(SEED, 300), ERASED_SIDE))
    erased = (out != 5.0).all(axis=3)                                         # (B, s, s)
    covered = erased.mean(axis=(1, 2))
    assert 0.8 < (covered > 0).mean() and covered.max() < 0.3
    for mask, image in zip(erased[covered > 0][:50], out[covered > 0]):
        rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        assert mask[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1].all()
        assert len(np.unique(image[mask], axis=0)) == 1 and np.abs(image[mask]).max() <= 1


def test_nothing_is_erased_without_random_erasing(rng):
    images = tf.constant(np.full((64, 24, 24, 3), 128, np.uint8))
    plain, erased = (augment.augment(images, None, tf.zeros((64, 4)), tf.zeros((64, 10)), SEED, settings)[0].numpy()
                     for settings in (PLAIN, ERASING))
    assert 25 <= (plain != erased).any((1, 2, 3)).sum() <= 32


def test_augmented_pixels_are_within_the_range_of_pixels(rng):
    images = tf.constant(rng.integers(0, 256, (64, 24, 24, 3), dtype=np.uint8))
    out, *_ = augment.augment(images, None, tf.zeros((64, 4)), tf.zeros((64, 10)), SEED, ERASING)
    assert 0 <= pixels(out).min() and pixels(out).max() <= 255


def test_half_of_the_samples_are_mirrored():
    flips = augment.coin(SEED, 10_000).numpy()
    assert 0.47 < flips.mean() < 0.53
