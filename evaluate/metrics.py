"""The arithmetic of the benchmarks: WIDER FACE, landmarks, FDDB. Arrays in, numbers out; reads no file.

Sources: [WIDER] the benchmark's evaluation tools (MATLAB: read_pred, norm_score, evaluation, boxoverlap, VOCap);
[FDDB] Jain, Learned-Miller, "FDDB: A Benchmark for Face Detection in Unconstrained Settings", 2010, and its evaluation
program (C++: Matching, Results, EllipseR, RectangleR).
"""
import cv2
import numpy as np

from detection import boxes as bx

MATCH_IOU = 0.5                                   # a detection matches a face from here on: [WIDER]; above: [FDDB]
THRESHOLDS = 1 - np.arange(1, 1001) / 1000        # of the normalized score, from strict to lenient: [WIDER]


# --- WIDER FACE: average precision ----------------------------------------------------------------------

def normalize(scores):
    """Scores of each image, a list of (N,) -> the same between 0 and 1, by the lowest and the highest of all images.

    Where all scores are equal, which [WIDER] leaves undefined, they become 1.
    """
    every = np.concatenate([np.zeros(0), *scores])
    low, high = (every.min(), every.max()) if every.size else (0, 0)
    return [(s - low) / (high - low) if high > low else np.ones(len(s)) for s in scores]


def best_faces(boxes, faces):
    """Detections (N, 4), faces (M, 4) px -> (N,): the face that each overlaps most, -1 where IoU < MATCH_IOU.

    [WIDER] counts the right and bottom edge in, so every side is one pixel longer than in boxes.py.
    """
    if not len(faces):
        return np.full(len(boxes), -1)
    edge = np.array([0, 0, 1, 1])
    overlap = bx.iou(boxes + edge, faces + edge)                                    # (N, M)
    return np.where(overlap.max(axis=1) >= MATCH_IOU, overlap.argmax(axis=1), -1)


def proposals_and_found(scores, best, counted):
    """One image: normalized scores (N,), best_faces (N,), counted (M,) bool -> (1000, 2), one row per threshold.

    A row holds the number of detections of at least that score that are judged, and of counted faces they find. A
    face is found by the best detection that matches it; further ones are judged and find nothing, so they are
    false positives. A detection on a face that does not count is not judged. An image without any face adds nothing.
    """
    if not len(counted):
        return np.zeros((len(THRESHOLDS), 2), int)
    order = np.argsort(-scores, kind="stable")
    scores, best = scores[order], best[order]
    on_counted = (best >= 0) & counted[best]
    judged = (best < 0) | on_counted
    finds = np.zeros(len(best), bool)
    faces, first = np.unique(best, return_index=True)
    finds[first] = on_counted[first]
    so_far = np.vstack([np.zeros((1, 2), int), np.cumsum(np.stack([judged, finds], axis=1), axis=0)])  # (N + 1, 2)
    return so_far[np.searchsorted(-scores, -THRESHOLDS, side="right")]


def precision_recall(counts, faces):
    """proposals_and_found summed over all images (T, 2), number of counted faces -> precision (T,), recall (T,).

    Precision is 0 where nothing is judged.
    """
    proposals, found = counts.T
    return found / np.maximum(proposals, 1), found / faces


def average_precision(precision, recall):
    """Precision (T,), recall (T,) rising -> the area below the curve, precision made non-increasing first.

    The rule of PASCAL VOC since 2010, which [WIDER] uses: the highest precision at this recall or a larger one.
    """
    precision = np.maximum.accumulate(np.append(precision, 0)[::-1])[::-1]
    steps = np.diff(np.concatenate([[0], recall, [1]]))
    return float(np.sum(steps * precision))


# --- Landmarks: error as a share of the distance between the eyes, the first two points -------------------

def eye_distance(points):
    """Points (N, P, 2) -> (N,) px from the first to the second: from the left eye's center to the right one's."""
    return np.linalg.norm(points[:, 1] - points[:, 0], axis=1)


def detection_of(points, boxes, scores):
    """True points of one face (P, 2), detections (N, 4), (N,) -> which one is it, or -1 for none.

    Of the boxes that hold the mean of its points, that of the highest score: the points found play no part,
    so a detection is not chosen for being right.
    """
    x, y = points.mean(axis=0)
    holds = (boxes[:, 0] <= x) & (x < boxes[:, 2]) & (boxes[:, 1] <= y) & (y < boxes[:, 3])
    return int(np.where(holds, scores, -np.inf).argmax()) if holds.any() else -1


def landmark_errors(points, truth):
    """Points found and true ones (N, P, 2) -> (N, P): their distance as a share of that between the true eyes."""
    return np.linalg.norm(points - truth, axis=2) / eye_distance(truth)[:, None]


def cumulative(errors, total, limit):
    """Errors (N,) of the found among `total` faces -> x (K,), y (K,): the share of all faces with at most error x.

    Ends at x = limit; y never reaches 1 where faces were missed.
    """
    errors = np.sort(errors[errors <= limit])
    x = np.concatenate([[0], np.repeat(errors, 2), [limit]])
    return x, np.repeat(np.arange(len(errors) + 1), 2) / total


# --- FDDB: discrete and continuous ROC ------------------------------------------------------------------

def masks(shapes, height, width):
    """Ellipses (M, 5) or boxes (M, 4) px -> (M, height * width) bool: the pixels of each, cut at the image's edges.

    An ellipse is major and minor radius, angle of the major axis in radians clockwise from the x axis, center x, y.
    Rounded as [FDDB] does: centers and corners to the nearest pixel, radii down, the last pixel counted in.
    """
    result = np.zeros((len(shapes), height, width), np.uint8)
    for mask, shape in zip(result, np.asarray(shapes, float).tolist()):
        if len(shape) == 5:
            major, minor, angle, x, y = shape
            cv2.ellipse(mask, (round(x), round(y)), (int(major), int(minor)), np.degrees(angle), 0, 360, 1, cv2.FILLED)
        else:
            x1, y1, x2, y2 = map(round, shape)
            cv2.rectangle(mask, (x1, y1), (x2, y2), 1, cv2.FILLED)
    return result.reshape(len(shapes), height * width).astype(bool)


def mask_iou(a, b):
    """Masks (M, P), (N, P) bool -> (M, N): intersection over union, 0 of nothing with nothing."""
    common = np.array([np.count_nonzero(a & row, axis=1) for row in b]).reshape(len(b), len(a)).T
    union = np.count_nonzero(a, axis=1)[:, None] + np.count_nonzero(b, axis=1) - common
    return common / np.maximum(union, 1)


def matched(overlap, scores):
    """One image: IoU of faces and detections (M, N), scores (N,) -> (K, 4), a row for each different score.

    A row holds the score and, of the detections of at least that score: true positives of the discrete measure, of
    the continuous one, false positives. Detections and faces are paired one to one for the largest sum of IoU; a
    pair over MATCH_IOU is a discrete true positive, every pair is worth its IoU to the continuous one, and all
    detections without a discrete true positive are false: [FDDB].
    """
    from scipy.optimize import linear_sum_assignment
    rows = []
    for score in np.unique(scores):
        pairs = overlap[:, scores >= score]
        values = pairs[linear_sum_assignment(pairs, maximize=True)]
        hits = int((values > MATCH_IOU).sum())
        rows.append((score, hits, values.sum(), pairs.shape[1] - hits))
    return np.array(rows, float).reshape(-1, 4)


def roc(images, faces):
    """`matched` of each image, number of all faces -> (T, 4), by falling score: score, true positive rate discrete,
    continuous, number of false positives, over all images."""
    steps = [np.column_stack([rows[:, 0], rows[:, 1:] - np.vstack([rows[1:, 1:], np.zeros((1, 3))])])
             for rows in images if len(rows)]          # what each score adds to the next higher one of its image
    steps = np.vstack([np.zeros((0, 4)), *steps])
    scores, which = np.unique(-steps[:, 0], return_inverse=True)
    sums = np.zeros((len(scores), 3))
    np.add.at(sums, which, steps[:, 1:])
    return np.column_stack([-scores, np.cumsum(sums, axis=0) / [faces, faces, 1]])


def rate_at(curve, column, false_positives):
    """roc (T, 4) -> the highest true positive rate with at most so many false positives; 0 where there is none."""
    return float(curve[curve[:, 3] <= false_positives, column].max(initial=0))
