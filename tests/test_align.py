"""Aligned faces have their landmarks where the template has them."""
import numpy as np
import pytest

from detection import align


def moved(points, degrees, scale, shift):
    angle = np.deg2rad(degrees)
    return scale * points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + shift


@pytest.mark.parametrize("degrees, scale, shift", [(0, 1, (0, 0)), (30, 0.5, (40, -7)), (-170, 3, (9, 500))])
def test_similarity_undoes_what_turned_scaled_and_shifted_the_points(degrees, scale, shift):
    source = moved(align.TEMPLATE, degrees, scale, np.array(shift))
    found = align.similarity(source, align.TEMPLATE)
    np.testing.assert_allclose(source @ found[:, :2].T + found[:, 2], align.TEMPLATE, atol=1e-4)


def test_no_other_similarity_comes_closer(rng):
    source, target = rng.normal(size=(5, 2)) * 20, rng.normal(size=(5, 2)) * 30

    def error(matrix):
        return ((source @ matrix[:, :2].T + matrix[:, 2] - target) ** 2).sum()
    best = align.similarity(source, target)
    for _ in range(300):                                   # nudge turn and scale (a, b) and the shift
        a, b, x, y = rng.normal(size=4) * (0.1, 0.1, 1, 1)
        assert error(best) <= error(best + [[a, -b, x], [b, a, y]])


def test_similarity_never_mirrors(rng):
    for _ in range(50):
        assert np.linalg.det(align.similarity(rng.normal(size=(5, 2)), rng.normal(size=(5, 2)))[:, :2]) > 0
    assert np.linalg.det(align.similarity(align.TEMPLATE * (-1, 1), align.TEMPLATE)[:, :2]) > 0


def test_points_that_coincide_are_brought_to_the_middle():
    found = align.similarity(np.full((5, 2), 3.0), align.TEMPLATE)
    np.testing.assert_allclose(found[:, :2] @ (3, 3) + found[:, 2], align.TEMPLATE.mean(axis=0), atol=1e-4)


def test_aligned_faces_have_their_points_where_the_template_says():
    image = np.zeros((300, 300, 3), np.uint8)
    points = np.round(moved(align.TEMPLATE, 25, 1.5, np.array([60, 90]))).astype(int)
    for x, y in points:
        image[y - 3:y + 4, x - 3:x + 4] = 255
    face = align.align(image, points[None] + 0.5)[0]       # a pixel's center is half a pixel from its corner
    assert face.shape == (112, 112, 3)
    errors = []
    for x, y in align.TEMPLATE:
        left, top = round(float(x)) - 7, round(float(y)) - 7
        spot = face[top:top + 15, left:left + 15, 0].astype(float)
        rows, columns = np.indices(spot.shape)
        errors.append(((columns * spot).sum() / spot.sum() + left - x, (rows * spot).sum() / spot.sum() + top - y))
    np.testing.assert_allclose(errors, 0, atol=0.5)
    np.testing.assert_allclose(np.mean(errors, axis=0), 0, atol=0.15)     # nothing is half a pixel off


def test_no_faces():
    assert align.align(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 5, 2))).shape == (0, 112, 112, 3)


def test_size_and_margin_shrink_what_is_seen_around_the_same_middle():
    image = np.zeros((400, 400, 3), np.uint8)
    image[100:212, 150:262] = 200                                   # what an aligned face shows, on whole pixels
    points = (align.TEMPLATE + 0.5 + (150, 100))[None]
    assert align.align(image, points).min() > 190
    wide = align.align(image, points, 64, 0.5)[0]                  # twice as wide: the bright part is the middle half
    assert wide.shape == (64, 64, 3)
    np.testing.assert_array_less(190, wide[17:47, 17:47])
    assert wide[:15].max() == wide[49:].max() == wide[:, :15].max() == wide[:, 49:].max() == 0
