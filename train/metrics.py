"""The arithmetic of the benchmarks: WIDER FACE's precision and recall. Arrays in, numbers out; reads no file.

Sources: [WIDER] the benchmark's evaluation tools (MATLAB: read_pred, norm_score, evaluation, boxoverlap, VOCap).
"""
import numpy as np

from detection import boxes as bx

MATCH_IOU = 0.5                                   # a detection matches a face from here on: [WIDER]
THRESHOLDS = 1 - np.arange(1, 1001) / 1000        # of the normalised score, from strict to lenient: [WIDER]


# --- WIDER FACE: average precision ----------------------------------------------------------------------

def normalise(scores):
    """Scores of each photo, a list of (N,) -> the same between 0 and 1, by the lowest and the highest of all photos.

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
    """One photo: normalised scores (N,), best_faces (N,), counted (M,) bool -> (1000, 2), a row a threshold.

    A row holds the number of detections of at least that score that are judged, and of counted faces they find. A
    face is found by the best detection that matches it; further ones are judged and find nothing, so they are
    errors. A detection on a face that does not count is not judged. A photo without any face adds nothing.
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
    """proposals_and_found summed over all photos (T, 2), number of counted faces -> precision (T,), recall (T,).

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
