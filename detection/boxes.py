"""All box arithmetic.

Convention: boxes are float32 (N, 4): x1 y1 x2 y2 in pixels, right and bottom edge exclusive, so the width is
x2 - x1 without "+ 1". Points are (N, P, 2), the POINTS of config.py: left eye, right eye, nose, left and right mouth
corner, as seen in the picture. Empty in gives empty out.

Offsets and relative points are what the nets learn: a box's corners measured from a crop's corners, points
measured from its upper left corner, both in units of the crop's width and height.
"""
import numpy as np

from config import MIRROR_ORDER, POINTS
from detection.errors import UserError

# A mirror turns (dx1, dy1, dx2, dy2) into (-dx2, dy1, -dx1, dy2); `offsets @ MIRROR_OFFSETS` does so for NumPy
# arrays and for tensors.
MIRROR_OFFSETS = np.array([[0, 0, -1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], np.float32)

_swaps = set(enumerate(MIRROR_ORDER))
if len(POINTS) != len(MIRROR_ORDER) or _swaps != {(b, a) for a, b in _swaps}:
    raise UserError("config.py: MIRROR_ORDER must hold a number for each of POINTS, counted from 0: two that change "
                    "places in a mirror name each other, the others themselves")

# A mirror turns relative x into 1 - x and swaps the eyes and the mouth corners;
# `points @ MIRROR_POINTS + MIRROR_SHIFT` does so for rows x1 y1 ... xP yP.
MIRROR_POINTS = np.kron(np.eye(len(POINTS))[list(MIRROR_ORDER)], np.diag([-1, 1])).astype(np.float32)
MIRROR_SHIFT = np.tile(np.array([1, 0], np.float32), len(POINTS))


def empty(*shape):
    """float32 array of no boxes, scores or points, e.g. empty(0, 4)."""
    return np.zeros(shape, np.float32)


def area(boxes):
    """boxes (N, 4) -> (N,) px^2; 0 where a box is turned inside out."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def intersection(a, b):
    """a (N, 4), b (M, 4) -> (N, M) px^2."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])   # (N, M)
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])  # (N, M)
    return np.maximum(width, 0) * np.maximum(height, 0)


def _share(part, whole):
    """part / whole, and 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def iou(a, b):
    """a (N, 4), b (M, 4) -> (N, M): intersection over union."""
    common = intersection(a, b)
    return _share(common, area(a)[:, None] + area(b)[None, :] - common)


def iou_of_pairs(a, b):
    """a (N, 4), b (N, 4) -> (N,): intersection over union of each with its fellow."""
    common = area(np.hstack([np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])]))
    return _share(common, area(a) + area(b) - common)


def coverage(a, b):
    """a (N, 4), b (M, 4) -> (N, M): the share of each a that b covers."""
    common = intersection(a, b)
    return _share(common, np.broadcast_to(area(a)[:, None], common.shape))


def minimum_overlap(a, b):
    """a (N, 4), b (M, 4) -> (N, M): intersection over the smaller area ("minimum" mode of the paper's NMS)."""
    common = intersection(a, b)
    return _share(common, np.minimum(area(a)[:, None], area(b)[None, :]))


def nms(boxes, scores, threshold, overlap=iou, block=128):
    """Greedy non-maximum suppression: boxes (N, 4), scores (N,) -> indices of the kept, best first.

    A box goes when its overlap with a kept box of higher score is above `threshold`; a suppressed box suppresses
    nothing. Equal scores keep their order. Works on `block` candidates at a time, so that NumPy and not Python
    does the work: within a block one by one, then all of its survivors against all that is left.
    """
    left = np.argsort(-scores, kind="stable")
    kept = [np.zeros(0, np.intp)]
    while left.size:
        head, left = left[:block], left[block:]
        clash = overlap(boxes[head], boxes[head]) > threshold       # (block, block)
        alive = np.ones(head.size, bool)
        for i in range(head.size):
            if alive[i]:
                alive[i + 1:] &= ~clash[i, i + 1:]
        head = head[alive]
        kept.append(head)
        if left.size:
            left = left[~(overlap(boxes[head], boxes[left]) > threshold).any(axis=0)]
    return np.concatenate(kept)


def grid_nms(rows, columns, scores, near):
    """Greedy NMS among equal boxes on a grid: rows, columns, scores (N,) -> indices of the kept, best first.

    near (k, k), odd: where True, boxes that many cells apart overlap by more than the threshold (`overlapping_cells`).
    Equal scores keep their order. Gives what `nms` gives, without looking at pairs that are far apart.
    """
    order = np.argsort(-scores, kind="stable")
    count, reach = len(order), len(near) // 2
    if not count:
        return order
    rows, columns = rows[order] - rows.min() + reach, columns[order] - columns.min() + reach
    ranks = np.full((rows.max() + reach + 1, columns.max() + reach + 1), count, np.int32)
    ranks[rows, columns] = np.arange(count)
    near = near.copy()
    near[reach, reach] = False
    down, right = np.nonzero(near)
    beside = ranks[rows[:, None] + (down - reach), columns[:, None] + (right - reach)]     # (N, neighbours): ranks
    alive, kept = np.append(np.ones(count, bool), False), np.zeros(count + 1, bool)
    left = np.arange(count)
    while left.size:       # every box that is the best of its neighbourhood stays, its neighbours go
        best = left[~(alive[beside[left]] & (beside[left] < left[:, None])).any(axis=1)]
        kept[best] = True
        alive[best] = alive[beside[best]] = False
        left = left[alive[left]]
    return order[kept[:-1]]


def vote(values, boxes, weights, kept, threshold, block=128):
    """Box voting: values (N, ...) of boxes (N, 4) with weights (N,), indices that `nms` kept (K,) -> (K, ...).

    Each is the weighted mean of the values of its voters: itself, and the boxes that overlap it more than
    any other kept one, by an IoU of `threshold` or more. Their errors differ. Source: Gidaris and Komodakis, "Object
    Detection via a Multi-region and Semantic Segmentation-aware CNN Model", ICCV 2015. Takes `block` boxes at a time.
    """
    if not len(kept):
        return values[kept]
    choice, votes = np.zeros(len(boxes), int), np.zeros(len(boxes))
    for i in range(0, len(boxes), block):
        overlap = iou(boxes[i:i + block], boxes[kept])                                          # (block, K)
        choice[i:i + block] = overlap.argmax(axis=1)
        votes[i:i + block] = overlap.max(axis=1) >= threshold
    choice[kept], votes[kept] = np.arange(len(kept)), 1
    votes *= np.maximum(weights, 1e-6)
    voted = np.zeros((len(kept), *values.shape[1:]))
    np.add.at(voted, choice, (values.T * (votes / np.bincount(choice, votes)[choice])).T)
    return voted.astype(np.float32)


def overlapping_cells(side, stride, threshold):
    """(k, k) bool, k odd: at which distances, in cells of `stride` px, squares of `side` px have an IoU above that."""
    reach = max(-(-side // stride) - 1, 0)
    shift = np.abs(np.arange(-reach, reach + 1)) * stride
    common = np.outer(side - shift, side - shift)
    return common > threshold * (2 * side * side - common)


def _sides(crops):
    """crops (N, 4) -> (N, 2): width and height."""
    return crops[:, 2:] - crops[:, :2]


def encode(boxes, crops):
    """Boxes (N, 4) as seen from their crops (N, 4) -> offsets (N, 4). Inverse of `decode`."""
    return ((boxes - crops) / np.tile(_sides(crops), 2)).astype(np.float32)


def decode(offsets, crops):
    """Offsets (N, 4) of crops (N, 4) -> boxes (N, 4)."""
    return (crops + offsets * np.tile(_sides(crops), 2)).astype(np.float32)


def encode_points(points, crops):
    """Points (N, P, 2) as seen from their crops (N, 4) -> relative points (N, 2P). Inverse of `decode_points`."""
    relative = (points - crops[:, None, :2]) / _sides(crops)[:, None]
    return relative.reshape(len(crops), 2 * len(POINTS)).astype(np.float32)


def decode_points(relative, crops):
    """Relative points (N, 2P) of crops (N, 4) -> points (N, P, 2)."""
    points = relative.reshape(len(crops), len(POINTS), 2) * _sides(crops)[:, None] + crops[:, None, :2]
    return points.astype(np.float32)


def square(boxes):
    """Boxes (N, 4) -> squares (N, 4) around the same centres, with the longer side."""
    return inner(boxes, 1, 0)


def inner(boxes, side, below):
    """Boxes (N, 4) -> squares (N, 4) of `side` of their longer side, the centre lower by `below` of it."""
    longer = longer_side(boxes)[:, None]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + longer * np.float32([0, below])
    half = longer * (side / 2)
    return np.hstack([centre - half, centre + half]).astype(np.float32)


def windows(boxes):
    """Boxes (N, 4) -> the square crops (N, 4) that the next net sees, on whole pixels, at least 1 px a side.

    Squares of 96 px and more lie on even pixels, those of 192 px on fours: so `images.half_scales` can be cut there.
    """
    squares = square(boxes)
    side = _sides(squares)[:, :1]
    unit = np.where(side >= 192, 4, np.where(side >= 96, 2, 1)).astype(np.float32)
    corner, side = np.round(squares[:, :2] / unit) * unit, np.maximum(np.round(side / unit) * unit, 1)
    return np.hstack([corner, corner + side]).astype(np.float32)


def clip(boxes, width, height):
    """Boxes (N, 4) cut at the edges of a picture of width x height px."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


def longer_side(boxes):
    """boxes (N, 4) -> (N,) px."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def shorter_side(boxes):
    """boxes (N, 4) -> (N,) px."""
    return np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
