"""Box arithmetic against values by hand and against plain loops."""
import numpy as np
import pytest

from detection import boxes as bx


def random_boxes(rng, count, span=100):
    corner = rng.uniform(0, span, (count, 2))
    return np.hstack([corner, corner + rng.uniform(1, 40, (count, 2))]).astype(np.float32)


def test_iou_of_pairs_is_the_diagonal_of_iou(rng):
    a, b = (np.sort(rng.random((50, 2, 2)), axis=1).reshape(50, 4).astype(np.float32) for _ in range(2))
    np.testing.assert_array_equal(bx.iou_of_pairs(a, b), bx.iou(a, b).diagonal())
    assert bx.iou_of_pairs(bx.empty(0, 4), bx.empty(0, 4)).shape == (0,)
    assert bx.iou_of_pairs(np.float32([[1, 1, 0, 0]]), np.float32([[1, 1, 0, 0]])) == 0


def vote(values, boxes, weights, kept, threshold, block=128):
    return bx.vote(values, weights, *bx.voters(boxes, kept, threshold, block), len(kept))


def test_neighbours_vote_by_their_scores_and_others_do_not():
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
    scores, kept = np.array([0.9, 0.3, 0.8], np.float32), np.array([0, 2])
    points = np.arange(30, dtype=np.float32).reshape(3, 5, 2)
    for block in (1, 128):
        np.testing.assert_allclose(vote(boxes, boxes, scores, kept, 0.5, block), [[0.5, 0, 10.5, 10], boxes[2]])
        np.testing.assert_allclose(vote(points, boxes, scores, kept, 0.5, block),
                                   [0.75 * points[0] + 0.25 * points[1], points[2]])
    np.testing.assert_array_equal(vote(boxes, boxes, scores, kept, 0.7), boxes[kept])
    np.testing.assert_array_equal(vote(boxes, boxes, 0 * scores, kept, 0.7), boxes[kept])
    both = np.array([0, 1])         # kept though they are neighbours: they stay two, and do not become one box twice
    np.testing.assert_array_equal(vote(boxes, boxes, scores, both, 0.5), boxes[both])
    inside_out = boxes[:, [2, 3, 0, 1]]
    np.testing.assert_array_equal(vote(inside_out, inside_out, scores, kept, 0.5), inside_out[kept])


def test_iou_by_hand():
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4], [3, 3, 3, 9]], np.float32)
    np.testing.assert_allclose(bx.iou(a, b)[0], [1, 1 / 3, 0, 0.04, 0], rtol=1e-6)
    np.testing.assert_allclose(bx.minimum_overlap(a, b)[0], [1, 0.5, 0, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(bx.coverage(a, b)[0], [1, 0.5, 0, 0.04, 0], rtol=1e-6)


def test_decode_inverts_encode(rng):
    boxes, crops = random_boxes(rng, 200), random_boxes(rng, 200)
    np.testing.assert_allclose(bx.decode(bx.encode(boxes, crops), crops), boxes, atol=1e-3)
    points = rng.uniform(0, 100, (200, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(bx.decode_points(bx.encode_points(points, crops), crops), points, atol=1e-3)


def test_offsets_by_hand():
    crop, face = np.array([[10, 20, 30, 40]], np.float32), np.array([[12, 18, 30, 45]], np.float32)
    np.testing.assert_allclose(bx.encode(face, crop)[0], [0.1, -0.1, 0, 0.25], rtol=1e-6)


def test_mirror_commutes_with_encoding(rng):
    """Mirroring image, crop, box and points, then encoding, equals encoding, then mirroring the targets."""
    width = 300
    crops, boxes = random_boxes(rng, 50), random_boxes(rng, 50)
    points = rng.uniform(0, 100, (50, 5, 2)).astype(np.float32)

    def mirrored(b):
        return np.stack([width - b[:, 2], b[:, 1], width - b[:, 0], b[:, 3]], axis=1)

    mirrored_points = points[:, bx.MIRROR_ORDER].copy()
    mirrored_points[..., 0] = width - mirrored_points[..., 0]
    np.testing.assert_allclose(bx.encode(mirrored(boxes), mirrored(crops)), bx.encode(boxes, crops) @ bx.MIRROR_OFFSETS,
                               rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(bx.encode_points(mirrored_points, mirrored(crops)),
                               bx.mirror_points(bx.encode_points(points, crops)),
                               rtol=1e-4, atol=1e-4)


def test_mirror_twice_is_nothing(rng):
    offsets, points = rng.normal(size=(9, 4)), rng.normal(size=(9, 10))
    np.testing.assert_allclose(offsets @ bx.MIRROR_OFFSETS @ bx.MIRROR_OFFSETS, offsets)
    np.testing.assert_allclose(bx.mirror_points(bx.mirror_points(points)), points, atol=1e-12)


def test_a_missing_point_is_the_mirrored_one_of_its_pair_in_a_mirror():
    """Without the left eye, the mirrored face has no right eye; the other points stay."""
    points = np.float32([[np.nan, np.nan, 0.7, 0.3, 0.5, 0.5, 0.3, 0.8, 0.6, 0.7]])
    np.testing.assert_allclose(bx.mirror_points(points), [[0.3, 0.3, np.nan, np.nan, 0.5, 0.5, 0.4, 0.7, 0.7, 0.8]])


@pytest.mark.parametrize("overlap", [bx.iou, bx.minimum_overlap])
def test_nms_chain_a_suppressed_box_suppresses_nothing(overlap):
    """Each of three boxes overlaps the next; the first removes the second, so the third stays."""
    chain = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    assert bx.nms(chain, np.array([0.9, 0.8, 0.7]), 0.4, overlap).tolist() == [0, 2]
    assert bx.nms(chain, np.array([0.8, 0.9, 0.7]), 0.4, overlap).tolist() == [1]


def test_nms_minimum_removes_a_box_inside_another():
    nested = np.array([[0, 0, 100, 100], [40, 40, 60, 60]], np.float32)
    scores = np.array([0.9, 0.8])
    assert bx.nms(nested, scores, 0.7).tolist() == [0, 1]
    assert bx.nms(nested, scores, 0.7, bx.minimum_overlap).tolist() == [0]


@pytest.mark.parametrize("overlap", [bx.iou, bx.minimum_overlap])
@pytest.mark.parametrize("block", [1, 7, 128])
def test_nms_equals_the_textbook_loop(rng, overlap, block):
    boxes, scores = random_boxes(rng, 300), rng.integers(0, 50, 300) / 50     # many equal scores
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if all(overlap(boxes[i:i + 1], boxes[k:k + 1])[0, 0] <= 0.3 for k in kept):
            kept.append(i)
    assert bx.nms(boxes, scores, 0.3, overlap, block).tolist() == kept


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.6])
def test_nms_on_a_grid_equals_nms_of_the_boxes(rng, threshold):
    rows, columns = (a.ravel() for a in np.mgrid[5:45, 3:33])
    some = rng.permutation(len(rows))[:700]
    rows, columns, scores = rows[some], columns[some], rng.integers(0, 60, len(some)) / 60     # many equal scores
    corner = np.stack([columns, rows], axis=1) * 2
    boxes = np.hstack([corner, corner + 12]).astype(np.float32)
    near = bx.overlapping_cells(12, 2, threshold)
    assert bx.grid_nms(rows, columns, scores, near).tolist() == bx.nms(boxes, scores, threshold).tolist()


def test_cells_that_overlap_by_more_than_half_are_neighbours():
    """12 px windows 2 px apart: beside 10 / 14, diagonally 100 / 188, two cells apart exactly a half."""
    near = bx.overlapping_cells(12, 2, 0.5)
    rows, columns = np.nonzero(near)
    assert np.abs(rows - len(near) // 2).max() == np.abs(columns - len(near) // 2).max() == 1 and near.sum() == 9


def test_square_keeps_the_center_and_the_longer_side(rng):
    boxes = random_boxes(rng, 50)
    squares = bx.square(boxes)
    np.testing.assert_allclose(squares[:, :2] + squares[:, 2:], boxes[:, :2] + boxes[:, 2:], rtol=1e-5)
    for axis in (0, 1):
        np.testing.assert_allclose(squares[:, axis + 2] - squares[:, axis], bx.longer_side(boxes), rtol=1e-4)


def test_inner_is_a_square_of_that_share_of_the_longer_side_and_as_much_lower():
    boxes = np.float32([[0, 0, 10, 20], [-30, 10, 10, 20]])
    np.testing.assert_allclose(bx.inner(boxes, 0.5, 0.1), [[0, 7, 10, 17], [-20, 9, 0, 29]])


def test_windows_are_square_whole_pixels_near_the_square(rng):
    boxes = np.concatenate([random_boxes(rng, 50), [[5.2, 5.2, 5.3, 5.4]]]).astype(np.float32)
    windows = bx.windows(boxes)
    assert (windows == np.round(windows)).all()
    assert ((windows[:, 2:] - windows[:, :2]) >= 1).all()
    assert (windows[:, 2] - windows[:, 0] == windows[:, 3] - windows[:, 1]).all()
    assert np.abs(windows - bx.square(boxes)).max() <= 1.5


def test_large_windows_lie_on_even_pixels_and_on_fours(rng):
    corner, side = rng.uniform(-50, 900, (300, 2)), rng.uniform(20, 500, (300, 1))
    boxes = np.hstack([corner, corner + side]).astype(np.float32)
    windows = bx.windows(boxes)
    assert (windows[side[:, 0] >= 96] % 2 == 0).all() and (windows[side[:, 0] >= 192] % 4 == 0).all()
    assert (np.abs(windows - boxes) <= np.maximum(side / 48, 1) + 1e-3).all()


def test_empty_in_gives_empty_out():
    none = bx.empty(0, 4)
    some = np.ones((3, 4), np.float32)
    assert bx.iou(none, some).shape == (0, 3) and bx.iou(some, none).shape == (3, 0)
    assert bx.nms(none, bx.empty(0), 0.5).shape == (0,)
    assert vote(bx.empty(0, 5, 2), none, bx.empty(0), np.zeros(0, int), 0.5).shape == (0, 5, 2)
    nothing = np.zeros(0, int)
    assert bx.grid_nms(nothing, nothing, bx.empty(0), bx.overlapping_cells(12, 2, 0.5)).shape == (0,)
    for function in (bx.square, bx.windows, lambda boxes: bx.inner(boxes, 0.5, 0.1)):
        assert function(none).shape == (0, 4)
    assert bx.clip(none, 5, 5).shape == bx.encode(none, none).shape == bx.decode(none, none).shape == (0, 4)
    assert bx.encode_points(bx.empty(0, 5, 2), none).shape == (0, 10)
    assert bx.decode_points(bx.empty(0, 10), none).shape == (0, 5, 2)
    assert bx.longer_side(none).shape == bx.area(none).shape == (0,)
