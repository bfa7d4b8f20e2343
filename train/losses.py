"""The three losses of MTCNN, on one batch. A loss whose kind of sample is absent is 0, not NaN.

Which sample counts for which loss, by its label: face, positive 1 and negative 0; box, positive 1 and part -1;
landmark, landmark -2. Source: [paper], section II-B and II-C.
"""
from config import HARD_SHARE, LANDMARK, NEGATIVE, PART, POSITIVE, WEIGHT_DECAY
from detection.quiet_tensorflow import tf


def mask(labels, *kinds):
    """labels (B,) -> float32 (B,): 1 where the label is one of the kinds."""
    return tf.cast(tf.reduce_any(labels[:, None] == tf.constant(kinds, labels.dtype), axis=1), tf.float32)


def masked_mean(values, weights):
    """Mean of values (B,) where weights (B,) are 1; 0 where none is."""
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights), tf.reduce_sum(weights))


def face(logits, labels):
    """logits (B, 2), labels (B,) -> mean cross-entropy of the hardest HARD_SHARE of positives and negatives."""
    counts = mask(labels, POSITIVE, NEGATIVE)
    target = tf.cast(labels == POSITIVE, tf.int32)
    return hardest(tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits), counts)


def hardest(losses, weights):
    """Mean of the highest HARD_SHARE of losses (B,), none negative, where weights (B,) are 1; 0 where none is."""
    hard = tf.cast(tf.reduce_sum(weights) * HARD_SHARE, tf.int32)
    chosen = tf.cast(tf.range(tf.size(losses)) < hard, tf.float32)
    return masked_mean(tf.sort(losses * weights, direction="DESCENDING"), chosen)


def box(offsets, labels, targets, giou_weight=0.0):
    """offsets, targets (B, 4), labels (B,) -> mean over positives and parts of the squared error's sum and giou_weight
    times what the boxes lack of a GIoU of 1."""
    error = tf.reduce_sum(tf.square(offsets - targets), axis=1) + giou_weight * (1 - giou(offsets, targets))
    return masked_mean(error, mask(labels, POSITIVE, PART))


def giou(a, b):
    """Offsets of the same crops (B, 4), (B, 4) -> (B,): IoU of their boxes, less the share of the smallest box around
    both that neither covers, so that boxes that do not touch differ too; at least -1. Source: Rezatofighi et al.,
    "Generalized Intersection over Union", CVPR 2019.
    """
    a, b = (offsets + tf.constant([0.0, 0.0, 1.0, 1.0]) for offsets in (a, b))         # the crop is the unit square

    def area(low, high):
        return tf.reduce_prod(tf.maximum(high - low, 0.0), axis=1)

    common = area(tf.maximum(a[:, :2], b[:, :2]), tf.minimum(a[:, 2:], b[:, 2:]))
    around = area(tf.minimum(a[:, :2], b[:, :2]), tf.maximum(a[:, 2:], b[:, 2:]))
    union = area(a[:, :2], a[:, 2:]) + area(b[:, :2], b[:, 2:]) - common
    return tf.math.divide_no_nan(common, union) - tf.math.divide_no_nan(around - union, around)


def landmark(points, labels, targets):
    """points, targets (B, 2P), labels (B,) -> mean over landmark samples of the squared error's sum."""
    return masked_mean(tf.reduce_sum(tf.square(points - targets), axis=1), mask(labels, LANDMARK))


def accuracy(logits, labels):
    """logits (B, 2), labels (B,) -> share of positives and negatives on the right side of 0.5."""
    right = tf.cast((logits[:, 1] > logits[:, 0]) == (labels == POSITIVE), tf.float32)
    return masked_mean(right, mask(labels, POSITIVE, NEGATIVE))


def weight_decay(kernels):
    """Weights of convolutions and dense layers -> WEIGHT_DECAY / 2 times the sum of their squares, as slim's."""
    return WEIGHT_DECAY * tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])


def all_losses(outputs, batch, weights, negatives_per_positive=1.0, giou_weight=0.0):
    """Flat outputs of a net, batch (images, labels, offsets, points) -> name -> loss, with "total", their sum with
    `weights` (head -> weight), and the accuracy.

    negatives_per_positive: of the batches. The face loss adds their logarithm to the logits, so that the net need not:
    scores are those of as many faces as others. Source: Menon et al., "Long-tail learning via logit adjustment", 2021.
    """
    _, labels, offsets, points = batch
    logits = outputs["face"] + tf.math.log([negatives_per_positive, 1.0])
    losses = {"face": face(logits, labels),
              "box": box(outputs["box"], labels, offsets, giou_weight),
              "landmark": landmark(outputs["landmark"], labels, points)}
    losses["total"] = tf.add_n([weights[name] * losses[name] for name in weights])
    losses["accuracy"] = accuracy(logits, labels)
    return losses
