"""All box arithmetic.

Convention: boxes are float32 (N, 4): x1 y1 x2 y2 in pixels, right and bottom edge exclusive, so the width is
x2 - x1 without "+ 1". Points are (N, P, 2) px, the POINTS of config.py: left eye, right eye, nose, left and right mouth
corner, as seen in the image. Empty in gives empty out.

The nets learn offsets and relative points: a box's corners measured from a crop's corners, points measured from the
crop's upper left corner, both in units of the crop's width and height.
"""
from collections.abc import Callable

import numpy as np

from config import MIRROR_ORDER, POINTS
from detection.errors import UserError
from detection.types import Floats, Indices, Mask

# A horizontal flip turns (dx1, dy1, dx2, dy2) into (-dx2, dy1, -dx1, dy2): `offsets @ MIRROR_OFFSETS`, for NumPy arrays
# and for tensors.
MIRROR_OFFSETS = np.array([[0, 0, -1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], np.float32)

# A horizontal flip turns relative x into 1 - x and swaps the eyes and the mouth corners: in rows x1 y1 ... xP yP,
# number i becomes number MIRROR_TAKE[i] times MIRROR_SIGN[i], plus MIRROR_SHIFT[i]. `mirror_points` does it in NumPy. A
# product with a matrix would spread NaN, which stands for a point that is not labeled, over the whole row.
MIRROR_TAKE = np.array([(2 * i, 2 * i + 1) for i in MIRROR_ORDER], int).ravel()
MIRROR_SIGN = np.tile(np.array([-1, 1], np.float32), len(MIRROR_ORDER))
MIRROR_SHIFT = np.tile(np.array([1, 0], np.float32), len(MIRROR_ORDER))


def check_mirror_order() -> None:
    """UserError unless MIRROR_ORDER of config.py fits POINTS and, applied twice, is the identity."""
    swaps = set(enumerate(MIRROR_ORDER))
    if len(POINTS) != len(MIRROR_ORDER) or swaps != {(b, a) for a, b in swaps}:
        raise UserError("config.py: MIRROR_ORDER must hold a number for each of POINTS, counted from 0: two points "
                        "that a horizontal flip exchanges hold each other's number, the others hold their own")


def empty(*shape: int) -> Floats:
    """float32 array of no boxes, scores or points, e.g. empty(0, 4)."""
    return np.zeros(shape, np.float32)


def area(boxes: Floats) -> Floats:
    """boxes (N, 4) -> (N,) px^2; 0 where its right edge lies left of its left one, or its bottom above its top."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def intersection(a: Floats, b: Floats) -> Floats:
    """a (N, 4), b (M, 4) -> (N, M) px^2."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])   # (N, M)
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])  # (N, M)
    return np.maximum(width, 0) * np.maximum(height, 0)


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, and 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def iou(a: Floats, b: Floats) -> Floats:
    """a (N, 4), b (M, 4) -> (N, M): intersection over union."""
    common = intersection(a, b)
    return _share(common, area(a)[:, None] + area(b)[None, :] - common)


def iou_of_pairs(a: Floats, b: Floats) -> Floats:
    """a (N, 4), b (N, 4) -> (N,): intersection over union of a[i] and b[i]."""
    common = area(np.hstack([np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])]))
    return _share(common, area(a) + area(b) - common)


def coverage(a: Floats, b: Floats) -> Floats:
    """a (N, 4), b (M, 4) -> (N, M): the share of the area of each a that b covers."""
    common = intersection(a, b)
    return _share(common, np.broadcast_to(area(a)[:, None], common.shape))


def minimum_overlap(a: Floats, b: Floats) -> Floats:
    """a (N, 4), b (M, 4) -> (N, M): intersection over the smaller area ("minimum" mode of the paper's NMS)."""
    common = intersection(a, b)
    return _share(common, np.minimum(area(a)[:, None], area(b)[None, :]))


def nms(boxes: Floats, scores: Floats, threshold: float, overlap: Callable[[Floats, Floats], Floats] = iou,
        block: int = 128) -> Indices:
    """Greedy non-maximum suppression: boxes (N, 4), scores (N,) -> indices (K,) of the kept boxes, best first.

    A box is suppressed when its overlap with a kept box of higher score is above `threshold`; a suppressed box
    suppresses nothing. Equal scores keep their order. Works on `block` candidates at a time, so that NumPy and not
    Python does the work: within a block one by one, then the kept boxes of the block against all remaining boxes.
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


def grid_nms(rows: Indices, columns: Indices, scores: Floats, near: Mask) -> Indices:
    """Greedy NMS of boxes of one size on a grid: rows, columns, scores (N,) -> indices (K,) of the kept, best first.

    near (k, k), odd: where True, boxes that many cells apart overlap by more than the threshold (`overlapping_cells`).
    Equal scores keep their order. Gives what `nms` gives, and computes nothing for pairs that are far apart.
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


def voters(boxes: Floats, kept: Indices, threshold: float, block: int = 128) -> tuple[Indices, Mask]:
    """Boxes (N, 4), indices (K,) that `nms` kept -> for each box the kept box that it overlaps most, as a place in
    `kept` (N,), and whether it votes for it (N,): with an IoU of `threshold` or more. A kept box votes for itself.
    Takes `block` boxes at a time."""
    choice, votes = np.zeros(len(boxes), int), np.zeros(len(boxes), bool)
    for i in range(0, len(boxes) if len(kept) else 0, block):
        overlap = iou(boxes[i:i + block], boxes[kept])                                          # (block, K)
        choice[i:i + block] = overlap.argmax(axis=1)
        votes[i:i + block] = overlap.max(axis=1) >= threshold
    choice[kept], votes[kept] = np.arange(len(kept)), True
    return choice, votes


def vote(values: Floats, weights: Floats, choice: Indices, votes: Mask, count: int) -> Floats:
    """Box voting: values (N, ...) of boxes with weights (N,), as `voters` assigned them to `count` kept boxes (K) ->
    (K, ...), the weighted mean of the values of each box's voters.

    The errors of the voters differ, so the mean is better than each. Source: Gidaris and Komodakis, "Object Detection
    via a Multi-region and Semantic Segmentation-aware CNN Model", ICCV 2015.
    """
    if not count:
        return values[:0]
    ballots = votes * np.maximum(weights, 1e-6)
    voted = np.zeros((count, *values.shape[1:]))
    np.add.at(voted, choice, (values.T * (ballots / np.bincount(choice, ballots)[choice])).T)
    return voted.astype(np.float32)


def overlapping_cells(side: int, stride: int, threshold: float) -> Mask:
    """(k, k) bool, k odd: at which distances, in cells of `stride` px, squares of `side` px have an IoU above the
    threshold."""
    reach = max(-(-side // stride) - 1, 0)
    shift = np.abs(np.arange(-reach, reach + 1)) * stride
    common = np.outer(side - shift, side - shift)
    return common > threshold * (2 * side * side - common)


def _sides(crops: Floats) -> Floats:
    """crops (N, 4) -> (N, 2): width and height."""
    return crops[:, 2:] - crops[:, :2]


def encode(boxes: Floats, crops: Floats) -> Floats:
    """Boxes (N, 4) px, crops (N, 4) px -> offsets (N, 4) in sides of the crops. Inverse of `decode`."""
    return ((boxes - crops) / np.tile(_sides(crops), 2)).astype(np.float32)


def decode(offsets: Floats, crops: Floats) -> Floats:
    """Offsets (N, 4), crops (N, 4) px -> boxes (N, 4) px."""
    return (crops + offsets * np.tile(_sides(crops), 2)).astype(np.float32)


def encode_points(points: Floats, crops: Floats) -> Floats:
    """Points (N, P, 2) px, crops (N, 4) px -> relative points (N, 2P). Inverse of `decode_points`."""
    relative = (points - crops[:, None, :2]) / _sides(crops)[:, None]
    return relative.reshape(len(crops), 2 * len(POINTS)).astype(np.float32)


def decode_points(relative: Floats, crops: Floats) -> Floats:
    """Relative points (N, 2P), crops (N, 4) px -> points (N, P, 2) px."""
    points = relative.reshape(len(crops), len(POINTS), 2) * _sides(crops)[:, None] + crops[:, None, :2]
    return points.astype(np.float32)


def mirror_points(relative: Floats) -> Floats:
    """Relative points (N, 2P) -> those of the mirrored crops (N, 2P); NaN, a point that is not labeled, moves along."""
    return relative[:, MIRROR_TAKE] * MIRROR_SIGN + MIRROR_SHIFT


def square(boxes: Floats) -> Floats:
    """Boxes (N, 4) -> squares (N, 4) of their longer side around the same centers."""
    return inner(boxes, 1, 0)


def inner(boxes: Floats, side: float, below: float) -> Floats:
    """Boxes (N, 4) -> squares (N, 4) of `side` times the longer side, the center lower by `below` times it."""
    longer = longer_side(boxes)[:, None]
    center = (boxes[:, :2] + boxes[:, 2:]) / 2 + longer * np.array([0, below], np.float32)
    half = longer * (side / 2)
    return np.hstack([center - half, center + half]).astype(np.float32)


def windows(boxes: Floats) -> Floats:
    """Boxes (N, 4) -> the square windows (N, 4) that the next net sees, on whole pixels, sides of at least 1 px.

    Windows of 96 px and more lie on multiples of 2 px, those of 192 px and more on multiples of 4 px, so that they lie
    on whole pixels of `images.half_scales`, too.
    """
    squares = square(boxes)
    side = _sides(squares)[:, :1]
    unit = np.where(side >= 192, 4, np.where(side >= 96, 2, 1)).astype(np.float32)
    corner, side = np.round(squares[:, :2] / unit) * unit, np.maximum(np.round(side / unit) * unit, 1)
    return np.hstack([corner, corner + side]).astype(np.float32)


def clip(boxes: Floats, width: int, height: int) -> Floats:
    """Boxes (N, 4) clipped to an image of width x height px."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


def longer_side(boxes: Floats | Indices) -> Floats:
    """boxes (N, 4) -> (N,) px."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def shorter_side(boxes: Floats) -> Floats:
    """boxes (N, 4) -> (N,) px."""
    return np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
