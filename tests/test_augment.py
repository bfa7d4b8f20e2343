"""What the augmentation does to pixels and targets."""
from dataclasses import replace

import numpy as np
import tensorflow as tf

from config import BORDER_VISIBLE, ERASED_SIDE, EXPOSURE, GRAY_SHARE, NEGATIVE, NOISE, NOISE_TILES, POSITIVE
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
    """Normalized -> 0..255."""
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


def test_channels_change_places_in_a_share(rng):
    images = rng.integers(0, 256, (1000, 12, 12, 3)).astype(np.float32)
    settings = Augmentation(1.0, 0.0, permuted_share=0.3)
    out = pixels(augment.jitter_light(tf.constant(normalize(images)), Random(SEED, 1000), settings))
    same = np.isclose(out, images, atol=0.01).all(axis=(1, 2, 3))
    assert 0.64 < same.mean() < 0.76
    np.testing.assert_allclose(np.sort(out, axis=3), np.sort(images, axis=3), atol=0.01)


def test_exposure_multiplies_a_share_by_factors_within_its_bounds():
    images = tf.fill((1000, 12, 12, 3), normalize(100.0))
    settings = Augmentation(1.0, 0.0, exposed_share=0.5)
    factors = pixels(augment.jitter_light(images, Random(SEED, 1000), settings)).mean(axis=(1, 2, 3)) / 100
    assert 0.45 < (abs(factors - 1) > 1e-3).mean() < 0.55
    assert EXPOSURE[0] <= factors.min() < 1.1 * EXPOSURE[0] and 0.95 * EXPOSURE[1] < factors.max() <= EXPOSURE[1]


def test_compressed_images_differ_little_and_keep_their_colors():
    images = np.full((8, 48, 48, 3), (40, 90, 200), np.float32)
    images[:, 12:36, 12:36] = (150, 60, 20)
    out = pixels(augment.compress(tf.constant(normalize(images)), Random(SEED, 8)))
    change = np.abs(out - images)
    assert 0.5 < change.mean() < 16 and np.abs(out.mean(axis=(1, 2)) - images.mean(axis=(1, 2))).max() < 8


def test_a_gaussian_blur_keeps_the_mean_and_lowers_the_contrast(rng):
    images = normalize(rng.integers(0, 256, (64, 24, 24, 3)).astype(np.float32))
    out = augment.gaussian_blur(tf.constant(images), Random(SEED, 64), 0.06).numpy()
    assert abs(out.mean() - images.mean()) < 0.01 and (out.std(axis=(1, 2, 3)) < images.std(axis=(1, 2, 3))).all()


def test_what_a_border_leaves_of_a_face_is_its_new_box():
    box = np.array([8, 14, 32, 38], np.float32) / 48
    offsets = tf.constant(np.repeat([box - (0, 0, 1, 1)], 200, axis=0), tf.float32)
    labels = tf.fill([200], tf.constant(POSITIVE, tf.int64))
    beyond, _, targets = (t.numpy() for t in augment.cut_by_border(48, labels, offsets, Random(SEED, 200), 1.0))
    left = (targets + (0, 0, 1, 1)) * 48
    for black, (x1, y1, x2, y2) in zip(beyond[..., 0], left):
        inside = np.zeros((48, 48), bool)
        inside[round(y1):round(y2), round(x1):round(x2)] = True
        assert black.any() and (black & inside).sum() <= 24       # a line of pixels, where it is rounded
        assert (~black[14:38, 8:32]).mean() > 0.3
    shares = bx.area(left) / 24 ** 2
    assert BORDER_VISIBLE[0] - 0.01 < shares.min() < 0.45 and 0.8 < shares.max() < BORDER_VISIBLE[1] + 0.01


def test_a_border_leaves_the_targets_of_negatives_alone():
    labels = tf.fill([400], tf.constant(NEGATIVE, tf.int64))
    beyond, kinds, targets = augment.cut_by_border(24, labels, tf.zeros((400, 4)), Random(SEED, 400), 0.25)
    assert 0.2 < beyond.numpy().any(axis=(1, 2, 3)).mean() < 0.3
    assert (kinds.numpy() == NEGATIVE).all() and not targets.numpy().any()


def test_robust_rows_are_those_of_the_whole_batch_and_the_plain_image_is_kept(rng):
    images = tf.constant(rng.integers(0, 256, (64, 24, 24, 3), dtype=np.uint8))
    labels, settings = tf.fill([64], tf.constant(POSITIVE, tf.int64)), replace(augment.robust(ERASING), keep_plain=True)
    whole = augment.augment(images, labels, tf.zeros((64, 4)), tf.zeros((64, 10)), SEED, settings)
    some = augment.augment(images, labels, tf.zeros((64, 4)), tf.zeros((64, 10)), SEED, settings, rows=[3, 8, 41])
    np.testing.assert_allclose(some[0].numpy(), whole[0].numpy()[[3, 8, 41]], atol=1e-5)
    for one, other in zip(some[1:], whole[1:]):
        np.testing.assert_array_equal(one, other)
    plain = whole[0].numpy()[..., 3:]
    cut = np.isnan(plain).any(axis=(1, 2, 3))
    assert 0 < cut.sum() < 20 and np.isnan(plain[cut]).all()
    flipped = [np.allclose(pixels(p), each) or np.allclose(pixels(p), each[:, ::-1])
               for p, each in zip(plain[~cut], images.numpy()[~cut])]
    assert all(flipped)


def test_patterns_of_noise_are_no_part_of_the_graph():
    def noisy(images):
        return augment.add_noise(images, random(0, 2), NOISE, NOISE_TILES)
    graph = tf.function(noisy).get_concrete_function(tf.TensorSpec((2, 48, 48, 3))).graph
    assert graph.as_graph_def().ByteSize() < 100_000        # they are 7 MB, of which TensorFlow would make copies
