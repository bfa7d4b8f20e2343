"""Cutting, resizing and flipping against plain loops."""
import hashlib

import cv2
import numpy as np
import pytest

from detection import images
from detection.errors import UserError


def brute_force_cut(image, box):
    x1, y1, x2, y2 = box
    out = np.zeros((y2 - y1, x2 - x1, 3), np.uint8)
    for y in range(y1, y2):
        for x in range(x1, x2):
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                out[y - y1, x - x1] = image[y, x]
    return out


@pytest.mark.parametrize("x", [-30, -5, 0, 50, 105, 119, 120, 140])
@pytest.mark.parametrize("y", [-30, -5, 0, 40, 80, 89, 90, 130])
def test_cut_equals_a_cut_pixel_by_pixel_at_every_border(scene, x, y):
    box = (x, y, x + 20, y + 20)
    np.testing.assert_array_equal(images.cut(scene, box), brute_force_cut(scene, box))


def test_cut_larger_than_the_image(scene):
    box = (-10, -20, 130, 120)
    np.testing.assert_array_equal(images.cut(scene, box), brute_force_cut(scene, box))


def test_crop_leaves_its_inputs_alone(scene):
    before, boxes = scene.copy(), np.array([[-5, -5, 15, 15], [100, 70, 140, 110]], np.float32)
    images.crop(scene, boxes, 24)
    np.testing.assert_array_equal(scene, before)
    np.testing.assert_array_equal(boxes, [[-5, -5, 15, 15], [100, 70, 140, 110]])


def test_crop_at_its_own_size_is_exact(scene):
    crop = images.crop(scene, np.array([[10, 20, 34, 44]], np.float32), 24)[0]
    np.testing.assert_array_equal(crop, scene[20:44, 10:34])


def test_halvings_are_averages_with_black_beyond_the_edge(scene):
    image, half, quarter = images.half_scales(scene[:, :117])
    assert (image.shape, half.shape, quarter.shape) == ((92, 120, 3), (46, 60, 3), (23, 30, 3))
    np.testing.assert_array_equal(image[:90, :117], scene[:, :117])
    assert not image[90:].any() and not image[:, 117:].any()
    for source, small in ((image, half), (half, quarter)):
        means = source.reshape(len(small), 2, -1, 2, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(small, means, atol=0.5)


@pytest.mark.parametrize("light", [(255, 255, 255), (144, 150, 200), (143, 143, 143), (100, 36, 18), (10, 1, 0),
                                   (30, 200, 144), (255, 9, 80)])
def test_channels_are_brightened_until_their_brightest_block_is_144(rng, light):
    """By a factor of 8 at most. A single bright pixel does not count, a bright block does."""
    image = (rng.random((75, 118, 3)) * light / 2).astype(np.uint8)
    image[32:48, 64:80] = light
    image[5, 5] = 255
    scales = images.half_scales(image)
    found, factors = images.brightened(scales), np.clip(144 / np.maximum(light, 1), 1, 8)
    for before, after in zip(scales, found, strict=True):
        assert after.dtype == np.uint8
        np.testing.assert_allclose(after, np.minimum(before * factors, 255), atol=0.51)
    for channel, level in enumerate(light):
        assert (found[0][..., channel] == scales[0][..., channel]).all() == (level >= 144 or not level)
        assert level < 18 or (found[0][32:48, 64:80, channel] == max(level, 144)).all()


@pytest.mark.parametrize("height, width", [(side, other) for side in (*range(4, 21), 31, 33) for other in (side, 40)])
def test_padding_does_not_count_as_darkness(height, width):
    for image, expected in (((200, 144, 255), (200, 144, 255)), ((100, 72, 12), (144, 144, 96))):
        scales = images.half_scales(np.full((height, width, 3), image, np.uint8))
        assert (images.brightened(scales)[0][:height, :width] == expected).all()


def test_a_crop_of_halvings_is_near_the_crop(scene):
    image = cv2.resize(scene, (640, 480))
    boxes = np.array([[-4, 8, 92, 104], [-40, -16, 200, 224], [101, 60, 501, 460], [3, 5, 30, 32], [9, 9, 56, 56]])
    halved = images.crop_scaled(images.half_scales(image), boxes, 24)
    apart = np.abs(halved.astype(int) - images.crop(image, boxes, 24))
    assert apart.mean() < 0.5 and apart.max() <= 40          # most at the edge to the black outside
    np.testing.assert_array_equal(halved[3:], images.crop(image, boxes[3:], 24))      # small ones: of the image itself


def interpolated(image, x, y):
    """The value between four pixels; black outside of the image."""
    left, top = int(np.floor(x)), int(np.floor(y))
    found = np.zeros(3)
    for column in (left, left + 1):
        for row in (top, top + 1):
            if 0 <= column < image.shape[1] and 0 <= row < image.shape[0]:
                found += (1 - abs(x - column)) * (1 - abs(y - row)) * image[row, column]
    return found


@pytest.mark.parametrize("box, averaged", [((10, 20, 27, 37), 1), ((-9, 60, 31, 100), 1), ((5, 5, 65, 85), 4)])
def test_a_crop_is_interpolated_and_then_averaged(scene, box, averaged):
    """Against a plain loop; places are rounded to 1/32 px."""
    side, (x1, y1, x2, y2) = 20 * averaged, box
    loop = np.array([[interpolated(scene, x1 + (i + 0.5) * (x2 - x1) / side - 0.5,
                                   y1 + (j + 0.5) * (y2 - y1) / side - 0.5) for i in range(side)] for j in range(side)])
    loop = loop.reshape(20, averaged, 20, averaged, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(images.crop(scene, np.array([box]), 20)[0], loop, atol=2.5)


def test_every_processor_gets_the_same_pixels():
    """The digest is that of x86-64 with AVX-512 and of aarch64 under qemu; INTER_LINEAR gives two."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (301, 403, 3), dtype=np.uint8), (3, 3), 0)
    corners = rng.integers(-40, 380, (60, 2))
    boxes = np.hstack([corners, corners + np.arange(5, 485, 8)[:, None]])
    scales, digest = images.half_scales(image), hashlib.blake2b(digest_size=8)
    for pixels in (*scales, *(images.resize(image, *size) for size in ((520, 310), (301, 280), (50, 21))),
                   images.shrink(scales, 160, 120), images.crop(image, boxes, 24),
                   images.crop_scaled(scales, boxes, 24), images.rotated_crop(image, boxes[40], 24, 13.0)):
        digest.update(np.ascontiguousarray(pixels))
    assert digest.hexdigest() == "3ef3017b720998e0"


def test_images_beyond_remaps_limit_are_cropped_all_the_same():
    image = np.zeros((20, 40_000, 3), np.uint8)
    image[:, 39_000:] = 200
    before, beyond, edge = images.crop(image, np.array([[x, 0, x + 20, 20] for x in (38_980, 39_000, 39_990)]), 10)
    assert not before.any() and (beyond == 200).all() and (edge[:, :5] == 200).all() and not edge[:, 6:].any()


@pytest.mark.parametrize("side", (26, 31, 47, 60, 95, 96))
def test_shrinking_is_near_the_average_over_each_pixel_s_area(scene, side):
    crop = np.ascontiguousarray(scene[40:40 + side, 60:60 + side])
    exact = cv2.resize(crop, (24, 24), interpolation=cv2.INTER_AREA)
    assert np.abs(images.resize(crop, 24, 24).astype(int) - exact).mean() < 1.5


def test_shrinking_a_flat_picture_changes_nothing():
    flat = np.full((90, 130, 3), (10, 128, 250), np.uint8)
    assert (images.resize(flat, 50, 40) == flat[:40, :50]).all()


def test_shrinking_from_a_half_is_near_the_average_of_all_pixels(scene):
    image = cv2.resize(scene, (640, 480))
    halved = images.half_scales(image)
    np.testing.assert_array_equal(images.shrink(halved, 384, 288), images.resize(image, 384, 288))
    for width, height in ((106, 80), (97, 73), (24, 18)):
        shrunk = images.shrink(halved, width, height)
        assert shrunk.shape == (height, width, 3)
        assert np.abs(shrunk.astype(int) - images.resize(image, width, height)).mean() < 1


def test_no_crops():
    assert images.crop(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 4)), 12).shape == (0, 12, 12, 3)


def test_rotation_by_nothing_is_the_plain_crop(scene):
    for box in ([10, 20, 58, 68], [-9, -9, 30, 30], [100, 70, 141, 111]):
        apart = np.abs(images.rotated_crop(scene, box, 48, 0.0).astype(int) -
                       images.crop(scene, np.array([box]), 48)[0])
        assert apart.mean() < 0.1 and apart.max() <= 3 * (box[2] - box[0] != 48)     # at the last row and column


def test_rotation_by_90_degrees_turns_the_crop(scene):
    box = np.array([20, 10, 68, 58])
    plain = images.crop(scene, box[None], 48)[0]
    np.testing.assert_allclose(images.rotated_crop(scene, box, 48, 90.0).astype(int),
                               np.rot90(plain).astype(int), atol=1)


@pytest.mark.parametrize("degrees", [-30.0, 5.0, 90.0])
def test_points_turn_with_the_pixels(degrees):
    image = np.zeros((200, 200, 3), np.uint8)
    image[60:63, 120:123] = 255                                   # a spot whose center is (121.5, 61.5)
    box = np.array([50, 40, 150, 140], np.float32)
    turned = images.rotated_crop(image, box, 100, degrees)
    rows, columns = np.nonzero(turned[..., 0] > 100)
    seen = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) + box[:2]
    expected = images.rotate_points(np.tile([121.5, 61.5], (5, 1)).astype(np.float32), box, degrees)[0]
    np.testing.assert_allclose(seen, expected, atol=0.6)


def test_mirror_exchanges_left_and_right(scene):
    assert (images.mirror(scene)[:, 0] == scene[:, -1]).all()


def test_pyramid_goes_from_the_smallest_face_to_one_window():
    sizes = images.level_sizes(90, 120, 20, 12, 0.709)
    assert sizes[0] == (72, 54)                                   # 12 / 20 of 120 x 90
    assert all(min(size) >= 12 for size in sizes)
    assert min(sizes[-1]) * 0.709 < 12.5
    np.testing.assert_allclose(np.divide(sizes[1:], sizes[:-1]), 0.709, atol=0.03)


@pytest.mark.parametrize("shape", [(1, 1), (19, 400), (20, 20)])
def test_pyramid_of_small_images(shape):
    assert len(images.level_sizes(*shape, 20, 12, 0.709)) == (1 if min(shape) >= 20 else 0)


def test_read_takes_any_file_name(tmp_path, scene):
    path = tmp_path / "人 脸.png"
    path.write_bytes(cv2.imencode(".png", scene)[1].tobytes())
    np.testing.assert_array_equal(images.read(path), scene)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0 cut"])
def test_read_names_what_is_no_image(tmp_path, content):
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match="bad.jpg"):
        images.read(path)
    with pytest.raises(UserError, match="missing.jpg"):
        images.read(tmp_path / "missing.jpg")


@pytest.mark.parametrize("image", [None, np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8),
                                   np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)])
def test_check_refuses_what_is_no_bgr_image(image):
    with pytest.raises(ValueError, match="uint8"):
        images.check(image)
