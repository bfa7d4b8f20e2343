"""The arithmetic of the benchmarks, against cases worked by hand."""
import numpy as np
import pytest

from evaluate import metrics


def wider_ap(boxes, scores, faces, counted):
    """AP of one image."""
    boxes, faces, counted = np.array(boxes, float), np.array(faces, float), np.array(counted, bool)
    scores, = metrics.normalize([np.array(scores, float)])
    counts = metrics.proposals_and_found(scores, metrics.best_faces(boxes, faces), counted)
    return metrics.average_precision(*metrics.precision_recall(counts, counted.sum()))


A, B, C, NOWHERE = [0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10], [300, 0, 310, 10]


def test_wider_ap_worked_by_hand():
    """A and B count, C does not. Detections by score: on A, right, 1 of 1; on C, not judged; nowhere, wrong, 1 of 2;
    on B, right, 2 of 3; on A again, wrong, 2 of 4. Precision 1 up to recall 1/2, then 2/3 up to 1: 1/2 + 1/3."""
    ap = wider_ap([A, C, NOWHERE, B, A], [0.9, 0.8, 0.7, 0.5, 0.1], [A, B, C], [1, 1, 0])
    assert ap == pytest.approx(5 / 6)


def test_precision_counts_the_best_at_a_larger_recall():
    """Wrong, then right, 1 of 2, then right, 2 of 3: at recall 1/2 counts the 2/3 that is reached further on."""
    assert wider_ap([NOWHERE, A, B], [0.9, 0.5, 0.2], [A, B], [1, 1]) == pytest.approx(2 / 3)


def test_perfect_detections_have_an_ap_of_one():
    assert wider_ap([A, B], [0.9, 0.9], [A, B], [1, 1]) == 1
    assert wider_ap([A, B], [0.9, 0.2], [A, B], [1, 1]) == 1


def test_detections_on_faces_that_do_not_count_change_nothing():
    without = wider_ap([A, NOWHERE], [0.9, 0.1], [A, B, C], [1, 1, 0])
    assert wider_ap([A, C, NOWHERE], [0.9, 0.5, 0.1], [A, B, C], [1, 1, 0]) == without == 0.5


def test_wider_counts_the_last_pixel_in():
    """From 0 to 9, both included, is 10 px: half of the face has an IoU of 50 / 100. Without the last: 36 / 81."""
    half, face = np.array([[0, 0, 4, 9.0]]), np.array([[0, 0, 9, 9.0]])
    assert metrics.best_faces(half, face) == [0]


def test_scores_are_normalized_over_all_images():
    low, high = metrics.normalize([np.array([2.0, 3.0]), np.array([4.0])])
    assert low.tolist() == [0, 0.5] and high.tolist() == [1]
    assert [s.tolist() for s in metrics.normalize([np.zeros(0), np.array([3.0, 3.0])])] == [[], [1, 1]]


def test_counting_is_the_protocols_loop(rng):
    """Detection by detection, threshold by threshold, as the benchmark's tools write it."""
    scores, best, counted = rng.integers(0, 50, 80) / 49, rng.integers(-1, 20, 80), rng.random(20) < 0.6
    expected = []
    for threshold in metrics.THRESHOLDS:
        proposals, found = 0, set()
        for score, face in zip(scores, best):
            if score >= threshold and (face < 0 or counted[face]):
                proposals += 1
                found |= {face} - {-1}
        expected.append([proposals, len(found)])
    assert metrics.proposals_and_found(scores, best, counted).tolist() == expected


def test_nothing_in_gives_nothing_out():
    none = np.zeros((0, 4))
    assert metrics.best_faces(none, none).shape == (0,)
    assert metrics.best_faces(np.array([A]), none).tolist() == [-1]
    assert metrics.proposals_and_found(np.zeros(0), np.zeros(0, int), np.ones(3, bool)).sum() == 0
    assert wider_ap(none, [], [A], [1]) == 0


FACE = np.array([[[10, 10], [30, 10], [20, 20], [12, 30], [28, 30]]], float)      # eyes 20 px apart


def test_landmark_errors_worked_by_hand():
    """The left eye 3 px right and 4 px down of its place, so 5 px off, a quarter of the 20 px between the eyes."""
    found = FACE.copy()
    found[0, 0] += 3, 4
    assert metrics.landmark_errors(found, FACE).tolist() == [[0.25, 0, 0, 0, 0]]
    assert not metrics.landmark_errors(FACE, FACE).any()
    assert metrics.landmark_errors(7 * found, 7 * FACE) == pytest.approx(metrics.landmark_errors(found, FACE))


def test_a_face_is_found_by_the_best_box_around_its_middle():
    boxes = np.array([[0, 0, 40, 40], [0, 0, 45, 45], [0, 0, 15, 15]], float)     # the last misses (20, 20)
    assert metrics.detection_of(FACE[0], boxes, np.array([0.6, 0.8, 0.9])) == 1
    assert metrics.detection_of(FACE[0], boxes[2:], np.array([0.9])) == -1
    assert metrics.detection_of(FACE[0], np.zeros((0, 4)), np.zeros(0)) == -1


def test_the_cumulative_curve_counts_missed_faces():
    """Of 4 faces one has no error, one 0.1, one 0.5, one was missed."""
    x, y = metrics.cumulative(np.array([0.1, 0.5, 0.0]), 4, 0.25)
    assert x.tolist() == [0, 0, 0, 0.1, 0.1, 0.25] and y.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.5]


def test_fddb_pairs_for_the_largest_sum_of_iou():
    """Two faces, three detections. From 0.9 on the first detection takes its best face, 0.8. From 0.5 on two can be
    had: 0.7 + 0.6 beats 0.8 + 0, both over 0.5. The third overlaps nothing and is false."""
    overlap = np.array([[0.8, 0.6, 0.0], [0.7, 0.0, 0.0]])
    rows = metrics.matched(overlap, np.array([0.9, 0.5, 0.2]))
    assert rows == pytest.approx(np.array([[0.2, 2, 1.3, 1], [0.5, 2, 1.3, 0], [0.9, 1, 0.8, 0]]))


def test_fddb_counts_a_loose_pair_in_the_continuous_measure_alone():
    assert metrics.matched(np.array([[0.5]]), np.array([0.9])).tolist() == [[0.9, 0, 0.5, 1]]


def test_fddb_roc_worked_by_hand():
    """Four faces in three images: the rows of one image as above, one false positive at 0.7, nothing found."""
    first = np.array([[0.5, 2, 1.3, 0], [0.9, 1, 0.8, 0]])
    curve = metrics.roc([first, np.array([[0.7, 0, 0, 1]]), np.zeros((0, 4))], 4)
    assert curve == pytest.approx(np.array([[0.9, 1 / 4, 0.8 / 4, 0], [0.7, 1 / 4, 0.8 / 4, 1],
                                            [0.5, 2 / 4, 1.3 / 4, 1]]))
    assert [metrics.rate_at(curve, 1, at) for at in (0, 1, 100)] == [0.25, 0.5, 0.5]
    assert metrics.rate_at(metrics.roc([], 4), 1, 100) == 0


def test_masks_are_the_pixels_of_the_shapes():
    box, = metrics.masks([[-5, 0, 9, 4.2]], 60, 80)
    assert box.sum() == 10 * 5                                   # 0 to 9 and 0 to 4, the last counted in
    lying, standing = metrics.masks([[20, 5, 0, 40, 30], [20, 5, np.pi / 2, 40, 30]], 60, 80).reshape(2, 60, 80)
    assert lying.any(axis=0).sum() == standing.any(axis=1).sum() == 41
    assert lying.any(axis=1).sum() == standing.any(axis=0).sum() == 11
    down, = metrics.masks([[20, 5, np.pi / 4, 40, 30]], 60, 80).reshape(1, 60, 80)
    assert down[42, 52] and not down[18, 52]                     # y points down: to the right and down
    assert lying.sum() == pytest.approx(np.pi * 20.5 * 5.5, rel=0.03)


def test_mask_iou():
    """10 x 10 px against its left half and against nothing of it."""
    whole, half, away = metrics.masks([[0, 0, 9, 9], [0, 0, 4, 9], [20, 20, 29, 29]], 40, 40)
    assert metrics.mask_iou(whole[None], np.stack([whole, half, away])).tolist() == [[1, 0.5, 0]]
    assert metrics.mask_iou(whole[None], np.zeros((0, 1600), bool)).shape == (1, 0)
    assert metrics.mask_iou(np.zeros((0, 1600), bool), whole[None]).shape == (0, 1)
