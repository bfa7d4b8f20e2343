"""Every number below was worked out by hand."""
import numpy as np
import pytest
import tensorflow as tf

from config import (
    HARD_SHARE,
    LANDMARK,
    LAST_WEIGHTS,
    LEAST_DISTANCE,
    NEGATIVE,
    ONET,
    OWN_BOX_IOU,
    PART,
    PNET,
    POSITIVE,
    TEACHER_SHARE,
    TEACHER_TARGETS,
    WEIGHT_DECAY,
)
from train import losses
from train.losses import Losses
from train.recipe import last_round

LOG2 = np.log(2)


def labels(*values):
    return tf.constant(values, tf.int64)


def test_face_loss_is_the_mean_of_the_hardest_70_percent():
    # ten negatives whose cross-entropy is log(1 + e^x): the three easiest are left out
    x = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], np.float32)
    logits = tf.stack([tf.zeros(10), x], axis=1)
    expected, kinds = np.log1p(np.exp(x))[3:].mean(), labels(*[NEGATIVE] * 10)
    np.testing.assert_allclose(losses.face(logits, kinds, tf.zeros(10), HARD_SHARE), expected, rtol=1e-6)


def test_face_loss_takes_positives_and_negatives_only():
    logits = tf.constant([[0.0, 0], [0, 0], [9, -9], [9, -9]])
    kinds = labels(POSITIVE, NEGATIVE, PART, LANDMARK)
    # 70 % of two samples is one; parts and landmarks would cost 18
    np.testing.assert_allclose(losses.face(logits, kinds, tf.zeros(4), HARD_SHARE), LOG2, rtol=1e-6)


def test_box_loss_takes_positives_and_parts_only():
    offsets = tf.constant([[0.0] * 4, [1, 1, 1, 1], [5] * 4, [7] * 4])
    targets = tf.constant([[0.5, 0, 0, 0], [0, 1, 1, 3], [0] * 4, [0] * 4])
    kinds = labels(POSITIVE, PART, NEGATIVE, LANDMARK)
    # their boxes, where the crop is the unit square: 0 0 1 1 in 0.5 0 1 1, and 1 1 2 2 in 0 1 2 4
    lacking = 1 / 2 + 5 / 6
    for weight in (0, 0.1):
        expected = (0.25 + 5 + weight * lacking) / 2
        np.testing.assert_allclose(losses.box(offsets, kinds, targets, weight), expected, rtol=1e-6)


def test_giou_falls_below_zero_with_the_distance():
    """Unit squares: the same, half beside each other, touching, one apart and three apart."""
    shifts = tf.constant([[x, 0, x, 0] for x in (0.0, 0.5, 1, 2, 4)])
    np.testing.assert_allclose(losses.giou(tf.zeros([5, 4]), shifts), [1, 1 / 3, 0, -1 / 3, -3 / 5], atol=1e-6)


def test_boxes_without_an_area_have_a_finite_giou_and_gradient():
    inside_out = tf.Variable([[1.0, 1, -1, -1], [0, 0, -1, -1]])
    with tf.GradientTape() as tape:
        values = losses.giou(inside_out, tf.zeros([2, 4]))
    assert np.isfinite(values).all() and np.isfinite(tape.gradient(values, inside_out)).all()


def test_landmark_loss_takes_landmark_samples_only():
    points = tf.ones([3, 10])
    targets = tf.constant([[0.0] * 10, [0.5] * 10, [1] * 9 + [0]])
    np.testing.assert_allclose(losses.landmark(points, labels(POSITIVE, LANDMARK, LANDMARK), targets),
                               (2.5 + 1) / 2, rtol=1e-6)


def test_points_that_are_not_labeled_cost_nothing_and_the_others_weigh_the_same():
    """Three of ten numbers of the first face are labeled, all of the second: 13 numbers, each 1 off in its square."""
    targets = tf.constant([[np.nan] * 7 + [0.0] * 3, [0.0] * 10, [np.nan] * 10], tf.float32)
    points = tf.Variable(tf.ones([3, 10]))
    with tf.GradientTape() as tape:
        loss = losses.landmark(points, labels(*[LANDMARK] * 3), targets)
    np.testing.assert_allclose(loss, 10, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, points), np.where(np.isnan(targets), 0, 2 / 1.3), rtol=1e-6)


def test_landmark_samples_without_any_point_cost_nothing():
    points = tf.Variable(tf.ones([2, 10]))
    with tf.GradientTape() as tape:
        loss = losses.landmark(points, labels(LANDMARK, LANDMARK), tf.fill([2, 10], np.nan))
    assert loss == 0 and not tape.gradient(loss, points).numpy().any()


def test_accuracy_counts_both_sides():
    logits = tf.constant([[0.0, 1], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(losses.accuracy(logits, labels(POSITIVE, NEGATIVE, NEGATIVE, PART)), 2 / 3, rtol=1e-6)


@pytest.mark.parametrize("kind", [POSITIVE, PART, NEGATIVE, LANDMARK])
def test_absent_kinds_cost_nothing_and_give_finite_gradients(kind):
    outputs = {"face": tf.Variable([[0.3, 0.1]] * 4), "box": tf.Variable(tf.ones([4, 4])),
               "landmark": tf.Variable(tf.ones([4, 10]))}
    batch = (None, labels(*[kind] * 4), tf.zeros([4, 4]), tf.zeros([4, 10]))
    with tf.GradientTape() as tape:
        values = losses.all_losses(outputs, batch, Losses({"face": 1.0, "box": 0.5, "landmark": 0.5}, 0.0, 1.0))
    gradients = tape.gradient(values["total"], list(outputs.values()))
    counted = {POSITIVE: {"face", "box"}, PART: {"box"}, NEGATIVE: {"face"}, LANDMARK: {"landmark"}}[kind]
    for name, gradient in zip(outputs, gradients):
        assert (values[name].numpy() > 0) == (name in counted)
        assert np.isfinite(gradient.numpy()).all() and (np.abs(gradient.numpy()).sum() > 0) == (name in counted)


def test_total_is_the_weighted_sum():
    outputs = {"face": tf.zeros([4, 2]), "box": tf.ones([4, 4]), "landmark": tf.ones([4, 10])}
    batch = (None, labels(POSITIVE, NEGATIVE, PART, LANDMARK), tf.zeros([4, 4]), tf.zeros([4, 10]))
    values = losses.all_losses(outputs, batch, Losses({"face": 1.0, "box": 0.5, "landmark": 0.25}, 0.1, 1.0))
    box = 4 + 0.1 * (1 + 2 / 4)      # unit squares that touch at a corner: of the 4 around them they leave 2 free
    np.testing.assert_allclose(values["total"], LOG2 + 0.5 * box + 0.25 * 10, rtol=1e-6)


def test_weight_decay_is_half_the_sum_of_squares():
    decay = losses.weight_decay([tf.constant([1.0, 2]), tf.constant([3.0])], WEIGHT_DECAY)
    np.testing.assert_allclose(decay, 0.0005 * 14 / 2)


def test_logit_adjustment_removes_the_composition_of_the_batches_from_the_scores():
    """A net that sees nothing but three negatives per positive learns a score of 0.5, not of 0.25."""
    logits = tf.Variable([0.5, -0.5])
    batch = (None, labels(*[POSITIVE] + [NEGATIVE] * 3), tf.zeros([4, 4]), tf.zeros([4, 10]))
    settings = Losses({"face": 1.0}, 0.0, negatives_per_positive=3.0, hard_share=1.0)
    others = {"box": tf.zeros([4, 4]), "landmark": tf.zeros([4, 10])}
    for _ in range(400):
        with tf.GradientTape() as tape:
            outputs = {"face": tf.tile(logits[None], [4, 1]), **others}
            loss = losses.all_losses(outputs, batch, settings)["face"]
        logits.assign_sub(0.5 * tape.gradient(loss, logits))
    np.testing.assert_allclose(tf.nn.softmax(logits), [0.5, 0.5], atol=1e-3)


def test_a_teacher_moves_targets_and_scores_where_it_has_an_answer():
    """Outputs that are what the teacher says cost less than others, and an answer of NaN changes nothing."""
    batch = None, labels(POSITIVE, PART, NEGATIVE, LANDMARK), tf.fill((4, 4), 0.2), tf.fill((4, 10), 0.5)
    outputs = {"face": tf.constant([[0.0, 1.0]] * 4), "box": tf.fill((4, 4), 0.1), "landmark": tf.fill((4, 10), 0.5)}
    silent = {"face": tf.fill((4, 2), np.nan), "box": tf.fill((4, 4), np.nan), "landmark": tf.fill((4, 10), np.nan)}
    alike = {"face": tf.nn.softmax(outputs["face"]), "box": outputs["box"], "landmark": outputs["landmark"]}
    other = {**alike, "face": alike["face"][:, ::-1]}
    settings = Losses({"face": 1.0, "box": 0.5, "landmark": 1.0}, 0.0, 1.0)
    plain = losses.all_losses(outputs, batch, settings)
    none, same, far = (losses.taught(outputs, each, batch, settings) for each in (silent, alike, other))
    assert float(none["total"]) == pytest.approx(float(plain["total"] - TEACHER_SHARE * plain["face"]), abs=1e-5)
    assert float(same["total"]) < float(none["total"]) < float(far["total"])
    assert float(same["box"]) == pytest.approx(float(plain["box"]) * (1 - TEACHER_TARGETS) ** 2, rel=1e-4)


def test_landmarks_of_the_last_round_are_judged_by_their_distance():
    """Both eyes 0.2 apart and off by 0.1, half of their distance; a face whose eyes are too close; unlabeled points; a
    positive, which does not count."""
    kinds = labels(LANDMARK, LANDMARK, LANDMARK, POSITIVE)
    targets = np.zeros((4, 6), np.float32)
    targets[0, 2] = 0.2
    targets[1, 2] = 0.01
    targets[2] = np.nan
    points = tf.constant(np.nan_to_num(targets) + [0.1, 0, 0, 0.1, 0.06, -0.08], tf.float32)
    expected = (0.1 / 0.2 + 0.1 / LEAST_DISTANCE) / 2
    np.testing.assert_allclose(losses.landmark_distance(points, kinds, targets), expected, rtol=1e-4)
    with tf.GradientTape() as tape:
        points = tf.Variable(tf.zeros([4, 6]))
        loss = losses.landmark_distance(points, kinds, targets)
    assert np.isfinite(tape.gradient(loss, points)).all()


def test_a_window_is_a_face_where_the_own_box_fits():
    """Own boxes with an IoU of 1, 1/2 and 0 with their faces; a negative; a landmark sample, which does not count."""
    kinds, targets = labels(POSITIVE, PART, POSITIVE, NEGATIVE, LANDMARK), tf.zeros([5, 4])
    shifts = tf.constant([0, 1 / 3, 1, 0, 0], tf.float32)[:, None] * [[1.0, 0, 1, 0]]
    overlap = losses.iou(shifts, targets)
    np.testing.assert_allclose(overlap[:4], [1, 0.5, 0, 1], atol=1e-6)
    assert sum(OWN_BOX_IOU) / 2 == 0.5                                                  # so the second is half a face
    logits = tf.constant([[0.0, 2], [0, 2], [0, 2], [0, 2], [0, 9]])
    face, background = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    expected = (face + (face + background) / 2 + 2 * background) / 4
    np.testing.assert_allclose(losses.face_of_box(logits, kinds, overlap, HARD_SHARE), expected, rtol=1e-5)


def test_own_boxes_decide_in_the_sum_of_the_losses_and_get_no_gradient_from_it():
    settings = last_round(PNET).losses
    assert settings.weights["box"] == LAST_WEIGHTS["box"]
    assert settings.weights["landmark"] == PNET.loss_weights["landmark"]                # P-Net detects no landmarks
    assert last_round(ONET).losses.weights["landmark"] == LAST_WEIGHTS["landmark"]
    offsets, outputs = tf.Variable(tf.fill([2, 4], 0.05)), {"face": tf.constant([[0.0, 1], [1, 0]])}
    batch = None, labels(POSITIVE, PART), tf.zeros([2, 4]), tf.zeros([2, 10])
    with tf.GradientTape(persistent=True) as tape:
        values = losses.all_losses({**outputs, "box": offsets, "landmark": tf.zeros([2, 10])}, batch, settings)
    assert tape.gradient(values["face"], offsets) is None and tape.gradient(values["total"], offsets) is not None
    assert values["face"] == losses.face_of_box(outputs["face"], batch[1], losses.iou(offsets, batch[2]), HARD_SHARE)
