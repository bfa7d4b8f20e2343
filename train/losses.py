"""The three losses of MTCNN, on one batch. A loss whose kind of sample is absent is 0, not NaN.

The label of a sample decides which loss it counts for. Face: positive (1) and negative (0). Box: positive (1) and
part (-1). Landmark: landmark (-2). Source: [paper], section II-B and II-C.
"""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from config import (
    HARD_SHARE,
    LANDMARK,
    LEAST_DISTANCE,
    NEGATIVE,
    OWN_BOX_IOU,
    PART,
    POSITIVE,
    TEACHER_SHARE,
    TEACHER_TARGETS,
    TEACHER_WEIGHT,
    WEIGHT_DECAY,
)
from detection.quiet_tensorflow import tf

LENGTH_EPSILON = 1e-6       # added to squared lengths in crops' sides, far below a pixel


def mask(labels: tf.Tensor, *kinds: int) -> tf.Tensor:
    """labels (B,) -> float32 (B,): 1 where the label is one of the kinds."""
    return tf.cast(tf.reduce_any(labels[:, None] == tf.constant(kinds, labels.dtype), axis=1), tf.float32)


def masked_mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Mean of values (B,) where weights (B,) are 1; 0 where none is."""
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights), tf.reduce_sum(weights))


def hardest(losses: tf.Tensor, weights: tf.Tensor, hard_share: float) -> tf.Tensor:
    """Mean of the highest `hard_share` of losses (B,), none negative, where weights (B,) are 1; 0 where none is."""
    hard = tf.cast(tf.reduce_sum(weights) * hard_share, tf.int32)
    chosen = tf.cast(tf.range(tf.size(losses)) < hard, tf.float32)
    return masked_mean(tf.sort(losses * weights, direction="DESCENDING"), chosen)


def face(logits: tf.Tensor, labels: tf.Tensor, overlap: tf.Tensor, hard_share: float) -> tf.Tensor:
    """logits (B, 2), labels (B,) -> mean cross-entropy of the hardest `hard_share` of positives and negatives. The IoU
    of the net's own boxes with the faces, overlap (B,), does not count."""
    counts = mask(labels, POSITIVE, NEGATIVE)
    target = tf.cast(labels == POSITIVE, tf.int32)
    return hardest(tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits), counts, hard_share)


def of_box(logits: tf.Tensor, labels: tf.Tensor, overlap: tf.Tensor) -> tf.Tensor:
    """logits (B, 2), labels (B,), IoU of the net's own boxes with the faces (B,) -> cross-entropies (B,).

    A positive or part is as much of a face as OWN_BOX_IOU says: detection needs a face where the box that the net makes
    of a window fits it, wherever the window lies, and none where it does not. Source: the idea of Jiang et al.,
    "Acquisition of Localization Confidence for Accurate Object Detection", ECCV 2018.
    """
    low, high = OWN_BOX_IOU
    target = mask(labels, POSITIVE, PART) * tf.clip_by_value((tf.stop_gradient(overlap) - low) / (high - low), 0.0, 1.0)
    return tf.nn.sigmoid_cross_entropy_with_logits(target, logits[:, 1] - logits[:, 0])


def face_of_box(logits: tf.Tensor, labels: tf.Tensor, overlap: tf.Tensor, hard_share: float) -> tf.Tensor:
    """In the place of `face` for --last-round: the mean of `of_box` over all positives, parts and negatives, also the
    easy ones."""
    return masked_mean(of_box(logits, labels, overlap), mask(labels, POSITIVE, PART, NEGATIVE))


def box(offsets: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor, giou_weight: float) -> tf.Tensor:
    """offsets, targets (B, 4), labels (B,) -> mean over positives and parts of: the sum of the four squared
    errors, plus giou_weight times (1 - GIoU)."""
    error = tf.reduce_sum(tf.square(offsets - targets), axis=1) + giou_weight * (1 - giou(offsets, targets))
    return masked_mean(error, mask(labels, POSITIVE, PART))


def _areas(a, b):
    """Offsets of the same crops (B, 4), (B, 4) -> areas (B,) of their boxes' intersection, of their union and of the
    smallest box around both, in units of the crop."""
    a, b = (offsets + tf.constant([0.0, 0.0, 1.0, 1.0]) for offsets in (a, b))         # the crop is the unit square

    def area(low, high):
        return tf.reduce_prod(tf.maximum(high - low, 0.0), axis=1)

    common = area(tf.maximum(a[:, :2], b[:, :2]), tf.minimum(a[:, 2:], b[:, 2:]))
    around = area(tf.minimum(a[:, :2], b[:, :2]), tf.maximum(a[:, 2:], b[:, 2:]))
    return common, area(a[:, :2], a[:, 2:]) + area(b[:, :2], b[:, 2:]) - common, around


def iou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Offsets of the same crops (B, 4), (B, 4) -> (B,): IoU of their boxes."""
    common, union, _ = _areas(a, b)
    return tf.math.divide_no_nan(common, union)


def giou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Offsets of the same crops (B, 4), (B, 4) -> (B,): IoU of their boxes, less the share of the smallest box around
    both that neither covers, so that boxes that do not touch differ too; at least -1. Source: Rezatofighi et al.,
    "Generalized Intersection over Union", CVPR 2019.
    """
    common, union, around = _areas(a, b)
    return tf.math.divide_no_nan(common, union) - tf.math.divide_no_nan(around - union, around)


def landmark(points: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """points, targets (B, 2P), labels (B,) -> mean over landmark samples of the sum of the squared errors.

    A target of NaN is not labeled and costs nothing. A sample counts as the share of its targets that are labeled, so
    every labeled point weighs the same, however many others its face lacks.
    """
    labeled, counts = tf.math.is_finite(targets), mask(labels, LANDMARK)
    errors = tf.square(points - tf.where(labeled, targets, points))
    share = tf.reduce_mean(tf.cast(labeled, tf.float32), axis=1)
    return tf.math.divide_no_nan(tf.reduce_sum(tf.reduce_sum(errors, axis=1) * counts), tf.reduce_sum(share * counts))


def landmark_distance(points: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """In the place of `landmark` for --last-round: points, targets (B, 2P), labels (B,) -> mean over labeled targets of
    the distance to them, as a share of that between the first two targets, at least LEAST_DISTANCE.

    evaluate/landmarks.py measures this. The squared error asks most of faces that fill the window and of bad labels.
    """
    counts = mask(labels, LANDMARK)[:, None] * tf.cast(tf.math.is_finite(targets[:, ::2]), tf.float32)      # (B, P)
    away = _distance(tf.where(tf.math.is_finite(targets), points - targets, 0.0))
    between = _distance(targets[:, 2:4] - targets[:, :2]) if targets.shape[1] > 2 else tf.zeros([1, 1])
    unit = tf.where(between > LEAST_DISTANCE, between, LEAST_DISTANCE)      # NaN is not more
    return masked_mean(away / unit, counts)


def _distance(differences):
    """(B, 2N) -> (B, N): lengths, with a gradient at 0, too."""
    squares = tf.square(differences)
    return tf.sqrt(squares[:, ::2] + squares[:, 1::2] + LENGTH_EPSILON)


def accuracy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """logits (B, 2), labels (B,) -> share of positives and negatives on the right side of 0.5."""
    right = tf.cast((logits[:, 1] > logits[:, 0]) == (labels == POSITIVE), tf.float32)
    return masked_mean(right, mask(labels, POSITIVE, NEGATIVE))


def weight_decay(kernels: Sequence[tf.Variable], strength: float) -> tf.Tensor:
    """Weights of convolutions and dense layers -> strength / 2 times the sum of their squares."""
    return strength * tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])


def taught(outputs: Mapping[str, tf.Tensor], teacher: Mapping[str, tf.Tensor], batch: tuple, settings: "Losses"
           ) -> dict[str, tf.Tensor]:
    """As `all_losses`, with a teacher's answers beside the labels. teacher: head -> its answers to the samples without
    augmentation, scores (B, 2) for the face, NaN where it has none.

    Targets of boxes and landmarks move towards the answers by TEACHER_TARGETS. TEACHER_SHARE of the face loss becomes
    the divergence from the teacher's score, on samples of every kind. Source: Hinton et al., "Distilling the Knowledge
    in a Neural Network", 2015.
    """
    images, labels, *targets = batch
    known = tf.math.is_finite(teacher["face"][:, 1])
    targets = [tf.where(known[:, None], target + TEACHER_TARGETS * (teacher[head] - target), target)
               for head, target in zip(("box", "landmark"), targets)]
    losses = all_losses(outputs, (images, labels, *targets), settings)
    score = tf.where(known, teacher["face"][:, 1], 0.5)
    logit = outputs["face"][:, 1] - outputs["face"][:, 0]
    cross = score * tf.nn.softplus(-logit) + (1 - score) * tf.nn.softplus(logit)
    entropy = -tf.math.xlogy(score, score) - tf.math.xlogy(1 - score, 1 - score)
    divergence = masked_mean(cross - entropy, tf.cast(known, tf.float32))
    losses["total"] += settings.weights["face"] * TEACHER_SHARE * (TEACHER_WEIGHT * divergence - losses["face"])
    return losses


@dataclass(frozen=True)
class Losses:
    """The settings of `all_losses` and of the weight decay."""
    weights: Mapping[str, float]                     # head -> weight in the sum
    giou: float                                      # times (1 - GIoU), in the box loss
    negatives_per_positive: float                    # of the batches, for the logit adjustment
    hard_share: float = HARD_SHARE                   # of the face losses, the highest, are averaged
    weight_decay: float = WEIGHT_DECAY
    face: Callable[..., tf.Tensor] = face            # (logits, labels, overlap, hard_share) -> loss
    landmark: Callable[..., tf.Tensor] = landmark    # (points, labels, targets) -> loss


def all_losses(outputs: Mapping[str, tf.Tensor], batch: tuple, settings: Losses) -> dict[str, tf.Tensor]:
    """Flat outputs of a net, batch (images, labels, offsets, points) -> name -> loss, with "total", their weighted
    sum, and the accuracy.

    Logit adjustment: the face loss adds the logarithm of negatives_per_positive to the logits, so that the net's own
    scores are those of as many positives as negatives. Source: Menon et al., "Long-tail learning via logit
    adjustment", 2021.
    """
    _, labels, offsets, points = batch
    logits = outputs["face"] + tf.math.log([settings.negatives_per_positive, 1.0])
    losses = {"face": settings.face(logits, labels, iou(outputs["box"], offsets), settings.hard_share),
              "box": box(outputs["box"], labels, offsets, settings.giou),
              "landmark": settings.landmark(outputs["landmark"], labels, points)}
    losses["total"] = tf.add_n([settings.weights[name] * losses[name] for name in settings.weights])
    losses["accuracy"] = accuracy(logits, labels)
    return losses
